/** Whether a value of JSON or YAML is a mapping of names to values. */
export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}
