/** An instant as documents state it: ISO 8601 (with or without time; without a zone it is UTC) or RFC 1123. Null when it is none. */
export function readInstant(stated: unknown): number | null {
	if (typeof stated !== 'string') return null;
	const text = stated.trim();
	const iso = /^(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?)?$/i.exec(text);
	if (!iso)
		return /^\w{3}, \d\d? \w{3} \d{4} \d\d:\d\d:\d\d (GMT|UTC|[+-]\d{4})$/.test(text) ? finite(Date.parse(text)) : null;
	const [, year, month, day = '01', time = '00:00', zone = 'Z'] = iso;
	const date = `${year}-${month}-${day}`;
	const midnight = finite(Date.parse(`${date}T00:00Z`));
	// Date.parse moves 31 February into March.
	if (midnight === null || new Date(midnight).toISOString().slice(0, 10) !== date) return null;
	return finite(Date.parse(`${date}T${time}${zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2')}`));
}

function finite(ms: number): number | null {
	return Number.isFinite(ms) ? ms : null;
}
