import { ROUTES, type RouteName } from './asked.ts';

/** One request as the double saw it. */
export interface LoggedRequest {
	/** From 1, in order of arrival. */
	readonly number: number;
	/** Milliseconds since the start or the last reset. */
	readonly at_ms: number;
	readonly route: RouteName | null;
	readonly model: string;
	readonly stream: boolean;
	readonly fault: string | null;
	/** The rule of the script that applied. */
	readonly rule: string | null;
	/** Null until the head was sent, and where none was. */
	status: number | null;
	/** `whole`: all that was planned was sent; `client_left`; `broken_off` by the double. Null while it runs. */
	ended: 'whole' | 'client_left' | 'broken_off' | null;
}

const LOGGED_MAX = 1_000;

/** What happened since the start or the last reset: all of it counted, the latest thousand kept. */
export class RequestLog {
	requests = 0;
	inFlightMax = 0;
	/** Connections that the client closed before its answer was complete. */
	aborted = 0;
	readonly entries: LoggedRequest[] = [];
	readonly #byRoute: Record<string, number> = Object.fromEntries(ROUTES.map((name) => [name, 0]));
	readonly #byFault = new Map<string, number>();
	readonly #byRule = new Map<string, number>();

	begin(entry: LoggedRequest, inFlight: number): LoggedRequest {
		this.requests++;
		if (inFlight > this.inFlightMax) this.inFlightMax = inFlight;
		this.entries.push(entry);
		if (this.entries.length > LOGGED_MAX) this.entries.shift();
		if (entry.route !== null) this.#byRoute[entry.route] = (this.#byRoute[entry.route] ?? 0) + 1;
		add(this.#byFault, entry.fault ?? 'none');
		if (entry.rule !== null) add(this.#byRule, entry.rule);
		return entry;
	}

	end(entry: LoggedRequest, how: Pick<LoggedRequest, 'status' | 'ended'>): void {
		entry.status = how.status;
		entry.ended = how.ended;
		if (how.ended === 'client_left') this.aborted++;
	}

	/** As `GET /mock/stats` shows it. */
	stats() {
		return {
			requests: this.requests,
			in_flight_max: this.inFlightMax,
			aborted: this.aborted,
			by_route: { ...this.#byRoute },
			by_fault: Object.fromEntries(this.#byFault),
			by_rule: Object.fromEntries(this.#byRule),
		};
	}
}

function add(counts: Map<string, number>, name: string): void {
	counts.set(name, (counts.get(name) ?? 0) + 1);
}
