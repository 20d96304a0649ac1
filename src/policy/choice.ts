/** One of several equal upstreams, at the moment of the choice. */
export interface Seat {
	/** Above zero: how much of the traffic it should get, against the others. */
	readonly weight: number;
	/** Calls that are under way there. */
	readonly load: number;
	/** Whether it may be asked at all. */
	readonly isOpen: boolean;
}

/**
 * The order in which equal upstreams are asked, as places in `seats`. `weight` draws them by their weights. `load` draws two
 * and takes the one with fewer calls under way for its weight, which keeps all nearly even without a look at each (the power
 * of two choices: Mitzenmacher, IEEE TPDS 12(10), 2001). Who is left alone comes last.
 * @param draw numbers in [0, 1).
 */
export function orderOf(seats: readonly Seat[], by: 'weight' | 'load', draw: () => number): number[] {
	const order: number[] = [];
	const left = seats.map((_, place) => place);
	while (left.length > 0) {
		const open = left.filter((place) => seats[place]?.isOpen);
		const among = open.length > 0 ? open : left;
		const place = by === 'load' ? lighter(seats, among, draw) : drawn(seats, among, draw());
		order.push(place);
		left.splice(left.indexOf(place), 1);
	}
	return order;
}

function lighter(seats: readonly Seat[], among: readonly number[], draw: () => number): number {
	const first = drawn(seats, among, draw());
	const others = among.filter((place) => place !== first);
	if (others.length === 0) return first;
	const second = drawn(seats, others, draw());
	return share(seats[second]) < share(seats[first]) ? second : first;
}

/** What one more call would make of its load. */
function share(seat: Seat | undefined): number {
	return seat ? (seat.load + 1) / seat.weight : Number.POSITIVE_INFINITY;
}

function drawn(seats: readonly Seat[], among: readonly number[], draw: number): number {
	const weightOf = (place: number) => seats[place]?.weight ?? 0;
	let left = draw * among.reduce((sum, place) => sum + weightOf(place), 0);
	for (const place of among) {
		left -= weightOf(place);
		if (left < 0) return place;
	}
	return among.at(-1) as number;
}
