import { FAILURE_POLICIES } from '../../src/contracts/release.ts';
import { FAILURES, type Setback, type Successor } from '../../src/policy/failure-table.ts';
import { DIFFERENCES, MATRIX, type MatrixRow } from './failure-matrix.ts';
import { cell, GENERATED } from './page.ts';

const WHAT: Readonly<Record<Setback, string>> = {
	connect: 'The connection was refused, or reset before the head of an answer.',
	timeout_connect: 'No connection within `connect_ms`.',
	server_error: 'A server error: 500, 502, 503, 529 and their like, also inside a 200.',
	nonsense: 'Something that is not the wire format: a page, a redirect, an answer of many megabytes, broken JSON.',
	broken_call: 'A tool was called with arguments that are no JSON object, beyond repair.',
	timeout_first_token: 'Accepted, and no token within `first_token_ms`; for a plain answer, not the whole of it.',
	timeout_total: 'Not complete within `total_ms`, or within what is left of the deadline.',
	timeout_idle: 'Silent for `idle_ms` in the middle of a stream.',
	cut: 'Broke off before its finish reason.',
	rate_limited: 'A 429, or the provider’s word for one, with or without a time to come back.',
	quota: 'The account has used up what it paid for.',
	context_length: 'The provider finds the prompt too long for its context.',
	bad_request: 'The provider calls the request invalid, or does not know the model.',
	authentication: 'The key is refused.',
	content_filter: 'The provider’s content filter refused.',
	cancelled: 'The client left, or the deadline passed.',
	breaker_open: 'The breaker is open: not asked at all.',
	quota_open: 'The breaker is open because the provider refused for its limits: not asked at all.',
};

const NEXT: Readonly<Record<Successor, string>> = {
	any: 'the next',
	larger: 'the next with a larger context',
	other_vendor: 'the next of another provider, else the next',
	none: 'nobody',
};

const VERDICTS = {
	ok: '',
	answered: 'nothing',
	failed: 'a failure',
	refused: 'a refusal',
	nothing: 'nothing',
	unsent: 'nothing',
} as const;

/** docs/reference/failures.md: the table that decides what follows a failed attempt. */
export function failurePage(): string {
	const lines = [
		'# Failures',
		'',
		GENERATED,
		'',
		'Whatever an upstream does wrong, in whichever vendor’s words, becomes one of these kinds; traces have it as the outcome of',
		'an attempt. The table says what may follow. Within that the [contract’s policy](../concepts/failure-policies.md) for the',
		'situation chooses; its default is given in brackets. *Again* means the same upstream once more, after the wait that the',
		'provider asks for and a short random one. *Asked instead* is who of the upstreams further down the route may be asked.',
		'*Cost* says whether a failed attempt is counted as one that the provider may bill, by an estimate.',
		'',
		'| kind | what happened | situation (default) | again | asked instead | counts for the breaker as | cost | ends with |',
		'|---|---|---|---|---|---|---|---|',
	];
	for (const [kind, meaning] of Object.entries(FAILURES) as [Setback, (typeof FAILURES)[Setback]][]) {
		const { situation, again, next, verdict, billed, code } = meaning;
		const cells = [
			`\`${kind}\``,
			WHAT[kind],
			situation === null ? 'none: it fails' : `\`${situation}\` (\`${FAILURE_POLICIES[situation][0]}\`)`,
			again ? 'yes' : 'no',
			NEXT[next],
			kind.endsWith('_open') ? 'nothing' : VERDICTS[verdict],
			billed ? 'estimated' : 'none',
			`[\`${code}\`](errors.md#${code})`,
		];
		lines.push(`| ${cells.map(cell).join(' | ')} |`);
	}
	lines.push(
		'',
		'A prompt that is too long for one upstream goes to a larger context of its route whatever the policy says; the policy of',
		'`budget_exceeded` is for one that fits nowhere. `escalate` sends it on only if `models.escalate_to` has the larger context.',
		'',
		'An event of a stream that cannot be read is left out if the rest is sound: a finish reason `stop`, the end mark, and no call',
		'of a tool. The trace counts it as `skipped_events`. Else the stream is `cut`.',
		'',
		'A `broken_call` costs what its provider reports, if it does. Of a stream it ends the answer, since the call was sent piece by piece.',
	);
	lines.push('', ...matrix());
	return `${lines.join('\n')}\n`;
}

/** Each row is a test for every family, plain and streamed, that counts at the double. */
function matrix(): string[] {
	const lines = [
		'## What comes of it',
		'',
		'A contract that says nothing about failures, with a route of two upstreams: the second continues turns, has a larger context',
		'and is another vendor’s. Every row is tested with every family that makes HTTP requests, counted at a',
		'[double](../guides/test-your-failure-policies.md) of its provider. *First* and *second* are the upstreams that were asked, in order,',
		'and how that ended; a stream is one of which the client has seen nine events. The client gets the answer unless something',
		'else is said.',
		'',
		'| the first upstream | plain | streamed |',
		'|---|---|---|',
	];
	for (const row of MATRIX) {
		lines.push(`| ${[row.what, told(row, 'plain'), told(row, 'stream')].map(cell).join(' | ')} |`);
	}
	return lines;
}

function told(row: MatrixRow, mode: 'plain' | 'stream'): string {
	const others = Object.entries(DIFFERENCES).flatMap(([family, rows]) => {
		const other = rows[row.what]?.[mode];
		return other ? [`; \`${family}\`: ${outcome(other)}`] : [];
	});
	return outcome(row[mode]) + others.join('');
}

function outcome({ attempts, result }: MatrixRow['plain']): string {
	const story = attempts.map((attempt) => attempt.replace(/: (\w+)$/, ' `$1`')).join(', ');
	return result === 'the answer' ? story : `${story} → ${result.replace(/^error: (\w+)$/, '`$1`')}`;
}
