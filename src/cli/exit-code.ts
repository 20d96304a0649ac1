import type { ErrorCategory } from '../spec/errors.ts';

/** What a command's exit status says. */
export const EXIT = {
	ok: 0,
	failed: 1,
	usage: 2,
	configuration: 3,
	notFound: 4,
	unavailable: 5,
	interrupted: 130,
} as const;

/** The one place where Plimsoll's errors become exit statuses. */
export const EXIT_OF: Readonly<Record<ErrorCategory, number>> = {
	invalid_request: EXIT.usage,
	unauthenticated: EXIT.failed,
	forbidden: EXIT.failed,
	not_found: EXIT.notFound,
	precondition_failed: EXIT.failed,
	conflict: EXIT.failed,
	too_large: EXIT.failed,
	unprocessable: EXIT.failed,
	overloaded: EXIT.unavailable,
	upstream_failed: EXIT.unavailable,
	unavailable: EXIT.unavailable,
	deadline_exceeded: EXIT.unavailable,
	cancelled: EXIT.interrupted,
	configuration: EXIT.configuration,
	internal: EXIT.failed,
};

export const EXIT_HELP = `Exit status:
  0    done
  1    failed, or done in part: the message says what
  2    the command was used wrongly
  3    the project has problems, or its data folder or address is taken
  4    what was asked for does not exist
  5    a server, an upstream, an index or a database did not answer; trying again may help
  130  interrupted`;
