interface Bounds<T> {
	/** Items that are under way at once. */
	readonly itemsMax: number;
	/** The same by what they weigh together; one item may weigh more. */
	readonly weightMax: number;
	readonly weigh: (item: T) => number;
}

/**
 * What `begin` makes of each item, in order, with some begun before they are asked for. Ends what it began when it is left.
 * @param begin undefined: there is nothing to hear of the item.
 */
export async function* readAhead<T, R>(
	items: AsyncIterable<T>,
	begin: (item: T) => Promise<R> | undefined,
	{ itemsMax, weightMax, weigh }: Bounds<T>,
): AsyncGenerator<R> {
	const source = items[Symbol.asyncIterator]();
	const underWay: { result: Promise<R>; weight: number }[] = [];
	let weight = 0;
	let isOver = false;
	try {
		for (;;) {
			while (!isOver && underWay.length < itemsMax && weight < weightMax) {
				const next = await source.next();
				if (next.done) isOver = true;
				else {
					const result = begin(next.value);
					if (result === undefined) continue;
					const begun = { result, weight: weigh(next.value) };
					// It is awaited when its turn comes.
					result.catch(() => {});
					underWay.push(begun);
					weight += begun.weight;
				}
			}
			const first = underWay.shift();
			if (!first) return;
			const result = await first.result;
			weight -= first.weight;
			yield result;
		}
	} finally {
		await Promise.allSettled(underWay.map(({ result }) => result));
		if (!isOver) await source.return?.();
	}
}
