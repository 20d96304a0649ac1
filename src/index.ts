export {
	type AskOptions,
	createRuntime,
	type InProcessRuntime,
	type RateOptions,
	type RateReceipt,
	type RuntimeOptions,
} from './app/create-runtime.ts';
export type { Answer, Citation } from './runtime/request.ts';
export { ERRORS, type ErrorCode, PlimsollError } from './spec/errors.ts';
export type { Rating } from './spec/feedback.ts';
export type { Usage } from './spec/model.ts';
export type { Problem } from './spec/problem.ts';
export type { Hit, IngestReport, Passage, SearchMode, SearchResult } from './spec/retrieval.ts';
export type { AttemptTrace, RequestTrace, StepTrace } from './spec/trace.ts';
