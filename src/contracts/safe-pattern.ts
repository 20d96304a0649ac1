/**
 * Why a regular expression is not taken; null when it is. What is taken needs at most polynomial time: repetition of
 * something that itself repeats or branches, back-references and look-around are what makes matching exponential. Texts
 * are bounded besides, and are matched in a thread that is ended after a time.
 */
export function patternFault(pattern: string): string | null {
	try {
		new RegExp(pattern, 'u');
	} catch (cause) {
		return cause instanceof Error ? cause.message : String(cause);
	}
	/** Of each open group: whether it repeats or branches inside. */
	const open: boolean[] = [false];
	let closed = false;
	for (const [token] of pattern.matchAll(TOKENS)) {
		const repeats = /^(?:[*+]|\{\d+(?:,\d*)?\})/.test(token) && !/^\{[01](?:,1)?\}/.test(token);
		if (/^\\(?:[1-9]|k<)/.test(token)) return `${token} is a back-reference; write what it stands for`;
		if (/^\(\?(?:[=!]|<[=!])/.test(token)) return `${token} looks around; write what the whole text must be`;
		if (repeats && closed) return 'a repeated group repeats or branches inside; write it without nesting';
		if (repeats || token === '|') open[open.length - 1] = true;
		closed = false;
		if (token.startsWith('(')) open.push(false);
		else if (token === ')') {
			closed = open.pop() ?? false;
			if (closed) open[open.length - 1] = true;
		}
	}
	return null;
}

const TOKENS = /\\k<|\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?(?:<?[=!]|:|<[^>]*>))?|\)|[*+?]\??|\{\d+(?:,\d*)?\}\??|\||./gsu;
