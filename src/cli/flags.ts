import { type Command, Option } from 'commander';
import type { ExplanationReply, FlagReply } from '../app/gateway-reply.ts';
import type { SessionFlag } from '../app/session.ts';
import { example, inSession, integerBetween, type ServerOptions, withJson, withServer } from './options.ts';
import { showTable } from './table.ts';
import { oneLine, type Terminal } from './terminal.ts';
import { count } from './units.ts';

interface ExplainOptions extends ServerOptions {
	readonly tenant: string;
	readonly user?: string;
	readonly feature?: string;
	readonly keyId?: string;
	readonly caller: SessionFlag['caller'];
	readonly sample?: number;
}

export function addFlags(program: Command, terminal: Terminal): void {
	const flags = program
		.command('flags')
		.summary('show flags, and which rule decides for whom')
		.description('Shows what flags there are, who uses them, and what they say. Flags are set in flags.yaml.');
	const list = flags
		.command('list')
		.description('Lists all flags with their variants, the default variant first.')
		.action((options: ServerOptions) => listFlags(options, terminal));
	withJson(withServer(list), 'the flags as one JSON document');
	example(list, 'plimsoll flags list');
	const explain = flags
		.command('explain')
		.argument('<flag>', 'the flag’s name')
		.description('Says which variant a flag gives to somebody, and which rule decides. Counts and changes nothing.')
		.option('--tenant <tenant>', 'whose request it would be', 'default')
		.option('--user <user>', 'who would ask, as clients name them')
		.option('--feature <feature>', 'which feature would be asked')
		.option('--key-id <id>', 'with which key, as keys list shows it')
		.addOption(
			new Option('--caller <kind>', 'how the caller would show who it is')
				.choices(['key', 'token', 'in_process'])
				.default('key'),
		)
		.option('--sample <n>', 'also draw for this many made-up users, and print the split', integerBetween(1, 10_000))
		.action((name: string, options: ExplainOptions) => explainFlag(name, options, terminal));
	withJson(withServer(explain), 'the explanation as one JSON document');
	example(
		explain,
		'plimsoll flags explain answer-route --tenant acme --user u-17 --feature ask-docs\nplimsoll flags explain answer-route --sample 10000',
	);
	example(flags, 'plimsoll flags list\nplimsoll flags explain answer-route --tenant acme --user u-17');
}

async function listFlags(options: ServerOptions, terminal: Terminal): Promise<void> {
	const flags = await inSession(options, terminal, (session) => session.flags());
	if (terminal.json) {
		terminal.record({ flags });
		return;
	}
	if (flags.length === 0) {
		terminal.note('There are no flags. They stand in flags.yaml beside plimsoll.yaml.');
		return;
	}
	showTable(COLUMNS, flags.map(rowOf), terminal);
}

function rowOf({ flag, state, variants, default_variant, rules, used_by, provider }: FlagReply): string[] {
	const others = Object.keys(variants ?? {}).filter((name) => name !== default_variant);
	return [
		flag,
		state ?? '',
		default_variant === null ? `of ${provider}` : [default_variant, ...others].join(', '),
		rules === null ? '' : String(rules),
		used_by.join(', ') || 'nobody',
	];
}

async function explainFlag(name: string, ask: ExplainOptions, terminal: Terminal): Promise<void> {
	const { tenant, user = null, feature = null, keyId: key = null, caller, sample = null, ...options } = ask;
	const explained = await inSession(options, terminal, (session) =>
		session.explainFlag(name, { tenant, user, feature, key, caller, sample }),
	);
	if (terminal.json) {
		terminal.record(explained);
		return;
	}
	const { value, variant, reason, decided_by, error } = explained;
	const shown = oneLine(JSON.stringify(value));
	terminal.line(`${terminal.paint('bold', variant ?? shown)}${variant === null ? '' : ` (${shown})`}  ${reason}`);
	if (decided_by !== null) terminal.line(oneLine(decided_by));
	if (error !== null) terminal.line(terminal.paint('yellow', oneLine(error)));
	showSample(explained, terminal);
}

function showSample({ sample }: ExplanationReply, terminal: Terminal): void {
	if (sample === null) return;
	const total = Object.values(sample).reduce((sum, number) => sum + number, 0);
	terminal.line('');
	terminal.line(terminal.paint('dim', `${count(total, 'made-up user')} of this tenant`));
	const rows = Object.entries(sample).map(([variant, number]) => [
		variant,
		String(number),
		`${((100 * number) / total).toFixed(2)} %`,
	]);
	showTable([{ title: 'variant' }, { title: 'users', right: true }, { title: 'share', right: true }], rows, terminal);
}

const COLUMNS = [
	{ title: 'flag' },
	{ title: 'state' },
	{ title: 'variants' },
	{ title: 'rules', right: true },
	{ title: 'used by' },
];
