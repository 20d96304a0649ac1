import { Command } from 'commander';
import { addAlerts } from './alerts.ts';
import { addAsk } from './ask.ts';
import { addAudit } from './audit.ts';
import { addCanary } from './canary.ts';
import { addCheck } from './check.ts';
import { addDoctor } from './doctor.ts';
import { addDocuments } from './documents.ts';
import { addEmbedders } from './embedders.ts';
import { EXIT_HELP } from './exit-code.ts';
import { addFeedback } from './feedback.ts';
import { addFlags } from './flags.ts';
import { addIndex } from './index-command.ts';
import { addIngest } from './ingest.ts';
import { addInit } from './init.ts';
import { addKeys } from './keys.ts';
import { addLimits } from './limits.ts';
import { addMockUpstream } from './mock-upstream.ts';
import { addPrices } from './prices.ts';
import { addQuarantine } from './quarantine.ts';
import { addSearch } from './search.ts';
import { addOrganisations, addTenants } from './settings.ts';
import { addStart } from './start.ts';
import type { Terminal } from './terminal.ts';
import { addTrace } from './trace.ts';
import { addUpstreams } from './upstreams.ts';

/** The whole command line. Parsing it throws CommanderError for help, version and wrong use. */
export function createProgram(terminal: Terminal, version: string): Command {
	const program = new Command('plimsoll')
		.description('Makes LLM features behave like well-run systems: contracts, budgets, retrieval, guards and traces.')
		.version(version, '-V, --version', 'the version')
		.helpOption('-h, --help', 'help for a command')
		.helpCommand('help [command]', 'help for a command')
		.showHelpAfterError('Try --help.')
		.configureHelp({ styleTitle: (title) => terminal.paint('bold', title) })
		.exitOverride()
		.addHelpText(
			'after',
			`
Every command takes --json: results on stdout as JSON, also errors. Messages and progress go to stderr.
Environment: PLIMSOLL_URL and PLIMSOLL_API_KEY name a server elsewhere; NO_COLOR switches colours off.

${EXIT_HELP}

Begin with:
  plimsoll init my-project && cd my-project && plimsoll start`,
		)
		.hook('preAction', (_, command) => {
			terminal.json = command.opts().json === true;
		});
	for (const add of [
		addInit,
		addCheck,
		addDoctor,
		addStart,
		addAsk,
		addIngest,
		addDocuments,
		addIndex,
		addSearch,
		addTrace,
		addFeedback,
		addKeys,
		addTenants,
		addOrganisations,
		addLimits,
		addUpstreams,
		addEmbedders,
		addFlags,
		addAlerts,
		addQuarantine,
		addCanary,
		addAudit,
		addPrices,
		addMockUpstream,
	])
		add(program, terminal);
	addHelp(program);
	return program;
}

/** Commander's own knows the first name alone, and shows for `help index rollback` what `help index` says. */
function addHelp(program: Command): void {
	program
		.helpCommand(false)
		.command('help')
		.argument('[command...]', 'its name')
		.description('help for a command')
		.action((names: readonly string[]) => {
			let at = program;
			for (const name of names) {
				const next = at.commands.find((command) => command.name() === name);
				if (!next) at.error(`error: unknown command '${[...names].join(' ')}'`);
				else at = next;
			}
			at.help();
		});
}
