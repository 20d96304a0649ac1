/** Which prompts a feature has, for the checks of its contract. */
export interface PromptNames {
	readonly names: readonly string[];
	has(name: string, version: string | null): boolean;
	/** JSON Schemas of the variables that its input declares; null when the prompt is too broken to tell. */
	variables(name: string, version: string | null): Readonly<Record<string, unknown>> | null;
}
