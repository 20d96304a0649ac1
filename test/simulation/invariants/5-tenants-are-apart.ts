import type { Asked, Checker, Observation } from '../observation.ts';
import type { World } from '../world.ts';

/** Whoever may see a tenant's data, sees `secret<n>` of the tenant in it; whoever may see its name, `tenant<n>`. */
const MARKS = /(?:secret|tenant)(\d+)/g;

/** 5: nothing of one tenant is in another's prompt, answer, error or trace; and no trace holds what was said. */
export class TenantsAreApart implements Checker {
	readonly invariant = 5;
	readonly promise = 'no tenant’s data in another’s prompt, answer, error or trace';
	readonly #world: World;

	constructor(world: World) {
		this.#world = world;
	}

	see(seen: Observation): void {
		switch (seen.kind) {
			case 'called':
				this.#look('a prompt', seen.call.prompt, seen.call.request);
				return;
			case 'ended': {
				const { request, answer, error, streamed } = seen;
				this.#look('an answer', `${answer?.text ?? ''} ${streamed}`, request);
				if (answer !== null) this.#ownAnswer(answer.text, request);
				if (error !== null) this.#look('an error', `${error.message} ${error.internal ?? ''}`, request);
				return;
			}
			case 'traced': {
				const text = JSON.stringify(seen.trace);
				this.#look('a trace', text, seen.request);
				if (text.includes('secret')) this.#violate('a trace holds what was said', seen.request);
			}
		}
	}

	#look(where: string, text: string, request: Asked): void {
		for (const [mark, tenant] of text.matchAll(MARKS)) {
			if (Number(tenant) === request.tenant) continue;
			this.#violate(`${where} of tenant${request.tenant} holds "${mark}"`, request);
			return;
		}
	}

	/** Within a tenant, too, nobody gets the answer to another's question. */
	#ownAnswer(text: string, request: Asked): void {
		const other = /\(r(\d+)\)/.exec(text)?.[1];
		if (other !== undefined && Number(other) !== request.n) {
			this.#violate(`the answer to request ${request.n} is that to request ${other}`, request);
		}
	}

	#violate(message: string, request: Asked): void {
		this.#world.violate({ invariant: 5, message, request: request.n });
	}
}
