import robotsParser from 'robots-parser';

type Parser = typeof robotsParser.default;
export type Robots = ReturnType<Parser>;

/** Its types describe a module of ECMAScript, which it is not: what is imported is the function itself. */
function isParser(imported: unknown): imported is Parser {
	return typeof imported === 'function';
}

/** @param url of the file. @param text as it is. */
export function parseRobots(url: string, text: string): Robots {
	const parse: unknown = robotsParser;
	if (!isParser(parse)) throw new TypeError('robots-parser exports no function any more');
	return parse(url, text);
}
