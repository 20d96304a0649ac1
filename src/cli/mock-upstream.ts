import type { Command } from 'commander';
import type { LoggedRequest } from '../mock-upstream/request-log.ts';
import { configurationError } from '../spec/errors.ts';
import { aborted, watchInterrupts } from './interrupt.ts';
import { example, integerBetween, type JsonOption, withJson } from './options.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface MockOptions extends JsonOption {
	readonly host: string;
	readonly port: number;
	readonly script?: string;
	readonly seed?: number;
}

export function addMockUpstream(program: Command, terminal: Terminal): void {
	const command = program
		.command('mock-upstream')
		.summary('serve a double of OpenAI, Anthropic, Gemini, Cohere and Bedrock that fails as a script says')
		.description(
			'Serves the wire formats of OpenAI, Anthropic, Gemini, Cohere and Bedrock on one address, without a model and without a project. A script says what goes wrong and when; the same seed and the same requests give the same answers. One request alone asks for a fault by a header, `x-mock-fault: cut`; the manual’s page on mock-upstream has them all. Ctrl-C or SIGTERM ends it.',
		)
		.option('--host <address>', 'the address to listen on', '127.0.0.1')
		.option('--port <number>', 'the port, 0 for a free one', integerBetween(0, 65_535), 4_700)
		.option('--script <file>', 'what goes wrong and when, as YAML (default: nothing does)')
		.option('--seed <number>', 'draws what is left to chance (default: the script’s)', integerBetween(0, 2_147_483_647))
		.action((options: MockOptions) => serveMock(options, terminal));
	withJson(command, 'what happens as lines of JSON');
	example(
		command,
		'plimsoll mock-upstream\nplimsoll mock-upstream --port 4700 --script faults.yaml --seed 7\ncurl 127.0.0.1:4700/mock/stats\ncurl 127.0.0.1:4700/v1/chat/completions -H \'x-mock-fault: rate_limited\' -d \'{"model": "mock-1", "messages": [{"role": "user", "content": "Hi"}]}\'',
	);
}

async function serveMock(options: MockOptions, terminal: Terminal): Promise<void> {
	const interrupts = watchInterrupts();
	const [
		{ NO_SCRIPT, readScript },
		{ ScriptPlanner },
		{ startUpstreamDouble },
		{ systemClock: clock },
		{ asListenError },
	] = await Promise.all([
		import('../mock-upstream/script.ts'),
		import('../mock-upstream/script-planner.ts'),
		import('../mock-upstream/upstream-double.ts'),
		import('../base/clock.ts'),
		import('../app/listen-error.ts'),
	]);
	const read = options.script === undefined ? null : await readScript(options.script);
	if (read?.ok === false) throw configurationError(read.problems);
	const script = read?.value ?? NO_SCRIPT;
	const seed = options.seed ?? script.seed;
	const { host, port } = options;
	const planner = new ScriptPlanner(script, seed, clock);
	const onEnded = (request: LoggedRequest) => sayEnded(request, terminal);
	const double = await startUpstreamDouble({ host, port, planner, onEnded }).catch((thrown: unknown) => {
		throw asListenError(thrown, `${host}:${port}`);
	});
	greet({ host, port: double.port, file: options.script ?? null, seed, rules: Object.keys(script.rules) }, terminal);
	await aborted(interrupts.signal);
	const { requests } = double;
	await double.close();
	if (terminal.json) terminal.record({ event: 'stopped', requests });
	else terminal.line(`\nStopped after ${count(requests, 'request')}.`);
	interrupts.stop();
}

interface Greeting {
	readonly host: string;
	readonly port: number;
	readonly file: string | null;
	readonly seed: number;
	/** Names of the rules, in order. */
	readonly rules: readonly string[];
}

function greet({ host, port, file, seed, rules }: Greeting, terminal: Terminal): void {
	// Where one server listens on all addresses, a client on this machine takes this one.
	const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
	const url = `http://${name}:${port}`;
	if (terminal.json) {
		terminal.record({ event: 'listening', url, seed, script: file, rules, pid: process.pid });
		return;
	}
	const label = (text: string) => terminal.paint('dim', `  ${text.padEnd(10)}`);
	terminal.line(`${terminal.paint('bold', 'Mock upstream')} listens on ${terminal.paint('cyan', url)}`);
	terminal.line(`${label('OpenAI')} base URL ${url}/v1`);
	terminal.line(`${label('Anthropic')} base URL ${url}`);
	terminal.line(`${label('Gemini')} base URL ${url}/v1beta`);
	terminal.line(`${label('Cohere')} base URL ${url}/v2`);
	terminal.line(`${label('Bedrock')} base URL ${url}`);
	const what = rules.length === 0 ? 'nothing goes wrong' : `${count(rules.length, 'rule')}: ${rules.join(', ')}`;
	terminal.line(`${label('script')} ${file ?? 'none'}, seed ${seed}; ${what}`);
	terminal.line(`${label('counts')} GET ${url}/mock/stats, /mock/requests; POST ${url}/mock/reset`);
	terminal.line();
	terminal.line(terminal.paint('bold', 'In plimsoll.yaml:'));
	for (const line of upstreamEntries(url)) terminal.line(line);
	terminal.line();
	terminal.line(terminal.paint('dim', 'Ctrl-C stops.'));
}

/** What points a project at the double, by the family that it is to stand for. */
function upstreamEntries(url: string): readonly string[] {
	const price = 'price: {version: mock, input_usd_per_million: 1, output_usd_per_million: 4}';
	const vendor = 'api_key: {env: MOCK_KEY}, private_addresses: allow';
	return [
		'upstreams:   # MOCK_KEY may be any word: nobody looks at it.',
		`  mock/openai: {family: openai-compatible, base_url: ${url}/v1, model: mock-1, ${price}}`,
		`  mock/anthropic: {family: anthropic, base_url: ${url}/v1, model: mock-1, ${vendor}, ${price}}`,
		`  mock/gemini: {family: google, base_url: ${url}/v1beta, model: mock-1, ${vendor}, ${price}}`,
	];
}

function sayEnded(request: LoggedRequest, terminal: Terminal): void {
	if (terminal.json) {
		terminal.record({ event: 'request', ...request });
		return;
	}
	const { number, route, model, stream, fault, rule, status, ended } = request;
	const asked = oneLine(`${route ?? 'no such route'} ${stream ? 'stream ' : ''}${model}`);
	const why = rule === null ? (fault ?? 'healthy') : `${fault ?? 'healthy'} (${rule})`;
	const how = ended === 'whole' ? '' : `, ${ended === 'client_left' ? 'the client left' : 'broken off'}`;
	terminal.note(`${String(number).padStart(5)}  ${asked}  ${status ?? '-'}  ${why}${how}`);
}
