import type { Ticket } from '../../src/spec/shared-state.ts';
import type { Observation } from './observation.ts';
import type { World } from './world.ts';

/** Tells in the trail what is observed, in words. */
export class Chronicle {
	readonly #world: World;
	readonly #numbers = new WeakMap<Ticket, number>();
	#tickets = 0;

	constructor(world: World) {
		this.#world = world;
	}

	tell(seen: Observation): void {
		const world = this.#world;
		switch (seen.kind) {
			case 'entered': {
				const { n, replica, tenant } = seen.request;
				world.say(`r${n} of tenant${tenant} enters ${replica}: ${seen.what}`, n);
				return;
			}
			case 'ended': {
				const { request, answer, error } = seen;
				world.say(
					`r${request.n} ends: ${error === null ? (answer?.degraded ?? 'ok') : `${error.code}: ${error.message}`}`,
					request.n,
				);
				return;
			}
			case 'called': {
				const { request, upstream, replica } = seen.call;
				world.say(`r${request.n} calls ${upstream} from ${replica}`, request.n);
				return;
			}
			case 'billed': {
				const { request, upstream } = seen.call;
				const bill = seen.bill === null ? 'nothing' : `${seen.bill.tokensIn} + ${seen.bill.tokensOut} tokens`;
				world.say(`r${request.n} is charged ${bill} by ${upstream}`, request.n);
				return;
			}
			case 'held':
			case 'given_back': {
				const verb = seen.kind === 'held' ? 'holds' : 'gives back';
				const who = seen.by.request === null ? seen.by.replica : `r${seen.by.request.n}`;
				world.say(`${who} ${verb} ${this.#name(seen.ticket)} of ${seen.ticket.heldBy}`, seen.by.request?.n ?? null);
				return;
			}
			case 'granted':
				world.say(
					`${seen.counters} grants ${this.#name(seen.ticket)} to ${seen.replica}: ${amountsOf(seen.ticket, null)}`,
				);
				return;
			case 'settled':
				world.say(`${seen.counters} settles ${this.#name(seen.ticket)}: ${amountsOf(seen.ticket, seen.actual)}`);
				return;
			case 'orphaned':
				world.say(`nobody will settle ${this.#name(seen.ticket)} in ${seen.counters}`);
				return;
			case 'execution':
				world.say(`r${seen.request.n} ${seen.phase} to execute key ${seen.key}`, seen.request.n);
				return;
			case 'recorded':
				world.say(`the answer to key ${seen.key} is on record`);
				return;
			case 'repeated':
				world.say(`r${seen.request.n} gets the answer of key ${seen.key}`, seen.request.n);
				return;
			case 'crashed':
				world.say(`${seen.replica} is killed`);
				return;
			case 'fault':
				world.say(`fault: ${seen.what} (${seen.note})`);
		}
	}

	#name(ticket: Ticket): string {
		const number = this.#numbers.get(ticket) ?? ++this.#tickets;
		this.#numbers.set(ticket, number);
		return `#${number}`;
	}
}

function amountsOf({ tenantId, claims }: Ticket, actual: readonly number[] | null): string {
	const amounts = claims.map(
		({ scope, limit, amount }, at) => `${actual === null ? amount : (actual[at] ?? 0)} ${limit} (${scope})`,
	);
	return `${tenantId} ${amounts.join(', ')}`;
}
