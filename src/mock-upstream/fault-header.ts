import { tidy, validate } from '../contracts/validation.ts';
import { parseYaml } from '../contracts/yaml-document.ts';
import { formatProblem } from '../spec/problem.ts';
import { faultJsonSchema, faultPlan, faultSchema } from './fault-schema.ts';
import type { Plan } from './plan.ts';

/**
 * What `x-mock-fault: cut; at_byte=100` makes of a plan: that fault in the place of its own, `none` for no fault at all.
 * A header that cannot be read becomes a plan that answers with what is wrong with it.
 */
export function headerPlan(header: string, chosen: Plan): Plan {
	const { fault: _, status: _status, ...healthy } = chosen;
	const [kind = '', ...settings] = header.split(';').map((part) => part.trim());
	if (kind === 'none' && settings.length === 0) return healthy;
	const pairs = [['kind', kind], ...settings.filter(Boolean).map((part) => part.split('=', 2))];
	const text = pairs.map(([name = '', value = '']) => `${name.trim()}: ${value.trim()}`).join('\n');
	const document = parseYaml({ file: 'x-mock-fault', text });
	const subject = { document, tree: document.value, sourceOf: () => null };
	const { value, problems } = validate({ zod: faultSchema, json: faultJsonSchema }, subject);
	if (value !== null && document.problems.length === 0) return { ...healthy, ...faultPlan(value) };
	const [problem] = tidy([...document.problems, ...problems]);
	const message = problem ? formatProblem(problem) : 'x-mock-fault cannot be read';
	return { status: 400, error: { message, type: 'invalid_request_error', code: 'mock_fault_invalid' } };
}
