import { canonicalJson } from '../base/canonical-json.ts';
import { parseCitations } from '../base/citation.ts';
import { countTokens } from '../base/tokens.ts';
import type { Contract, FailureAction } from '../contracts/release.ts';
import { imageTokens, requireImages } from '../policy/images.ts';
import { type ErrorCode, PlimsollError } from '../spec/errors.ts';
import type { Model } from '../spec/model.ts';
import type { AssembledPrompt, PromptInput } from '../spec/prompt.ts';
import type { Retriever } from '../spec/retrieval.ts';
import type { GuardVerdict } from '../spec/trace.ts';
import { fallbackAnswer, markDegraded, producedAnswer } from './answer.ts';
import { assemble } from './assemble.ts';
import { assign } from './assign.ts';
import type { ContextSizes } from './context-sizes.ts';
import { lastUserText, readConversation } from './conversation.ts';
import type { Feature, Snapshot } from './feature.ts';
import { generate } from './generate.ts';
import { type Generation, type GenerationParts, type GenerationPlan, NO_POLICIES } from './generation-plan.ts';
import { guard } from './guard.ts';
import { OutgoingStream, outgoingOf } from './outgoing-stream.ts';
import { bareParameters, type CallParameters, featureParameters, translatedParameters } from './parameters.ts';
import type { Places } from './places.ts';
import { reAskPlan } from './re-ask.ts';
import type { Answer, AnswerSink, ChatRequest, Translation } from './request.ts';
import type { RequestContext, StepNotes } from './request-context.ts';
import { type Retrieval, retrieve } from './retrieve.ts';
import { spread } from './spread.ts';

export interface PipelineParts extends GenerationParts {
	readonly retriever: Retriever;
	readonly places: Places;
	readonly contexts: ContextSizes;
}

/**
 * The life of an admitted request, in the order in which ARCHITECTURE.md draws it. Resolves with an answer that
 * passed its guards or that a failure policy gave; anything else is thrown as a PlimsollError.
 */
export async function answer(
	context: RequestContext,
	request: ChatRequest,
	ask: { snapshot: Snapshot; parts: PipelineParts },
): Promise<Answer> {
	const target = await assign(context, request, { snapshot: ask.snapshot, places: ask.parts.places });
	context.trace.streamed = request.sink !== null;
	if (target.kind === 'switched_off') {
		return respond(context, request.sink, fallbackAnswer(context, target.answer, target.degraded));
	}
	return target.kind === 'feature'
		? answerAsFeature(context, request, { feature: target.feature, parts: ask.parts })
		: answerAsUpstream(context, request, { model: target.model, bare: ask.snapshot.bare, parts: ask.parts });
}

/** What an admitted request would send, in tokens by our own count: of a feature its prompt without passages. */
export async function countAsked(
	context: RequestContext,
	request: ChatRequest,
	{ snapshot, parts }: { snapshot: Snapshot; parts: PipelineParts },
): Promise<number> {
	const target = await assign(context, request, { snapshot, places: parts.places });
	if (target.kind === 'switched_off') return 0;
	if (target.kind === 'upstream') {
		requireImages(request.images ?? [], snapshot.bare.images, target.model.upstream);
		return tokensOf(request, target.model);
	}
	const { input } = await route(context, request, target.feature);
	const assembly = await assemble(context, target.feature, { ...input, passages: [] });
	return assembly.kind === 'fallen_back' ? 0 : assembly.prompt.tokensIn;
}

async function answerAsFeature(
	context: RequestContext,
	request: ChatRequest,
	{ feature: given, parts }: { feature: Feature; parts: PipelineParts },
): Promise<Answer> {
	const { contract } = given.release;
	const { equals } = contract.models;
	const feature = equals.length === 0 ? given : { ...given, route: spread(given.route, equals, parts) };
	const { call, input } = await route(context, request, feature);

	const found = contract.retrieval
		? await retrieve(context, { feature, retrieval: contract.retrieval, input }, parts)
		: NOTHING_TO_FIND;
	if (found.kind === 'fallen_back')
		return respond(context, request.sink, fallbackAnswer(context, found.answer, found.degraded));
	markDegraded(context, found.degraded);

	const assembly = await assemble(context, feature, { ...input, passages: found.hits });
	if (assembly.kind === 'fallen_back') {
		return respond(context, request.sink, fallbackAnswer(context, assembly.answer, assembly.degraded));
	}

	const { prompt, candidates } = assembly;
	// A feature's stream carries text: calls of tools are handed over whole, like what is held for the guards.
	const held = contract.stream === 'buffered' || request.sink === null || 'tools' in call.parameters;
	const outgoing = held ? null : outgoingStream(feature, request.sink, prompt);
	const plan = featurePlan({
		feature,
		prompt,
		candidates,
		call,
		question: input.question,
		sink: outgoing,
		startsMs: context.elapsedMs(),
		deadlineMs: context.deadlineMs,
	});
	const final = await generateGuarded(context, feature, { plan, prompt, question: input.question, parts });
	// A failure policy's answer was not streamed either: it is known only now.
	return respond(context, held || final.upstream === null ? request.sink : null, final);
}

const NOTHING_TO_FIND: Retrieval = { kind: 'found', hits: [], degraded: null };

/** route: reads the request as the contract does and names the upstreams that may answer it. */
function route(
	context: RequestContext,
	request: ChatRequest,
	feature: Feature,
): Promise<{ call: CallParameters; input: Omit<PromptInput, 'passages'> }> {
	return context.step('route', ({ detail }) => {
		detail.route = feature.route.map((model) => model.upstream.name).join(', ');
		const { names, origins } = noteTranslation(request, detail);
		const call = featureParameters(feature.release.contract, request.parameters, names);
		const { question, history } = readConversation(request.messages, origins);
		const decided = context.flags?.variables;
		const variables = decided ? { ...request.variables, ...decided } : request.variables;
		return { call, input: { question, history, variables } };
	});
}

/** A hint that is not passed on is no secret. */
function noteTranslation({ translation }: ChatRequest, detail: StepNotes['detail']): Partial<Translation> {
	if (translation && translation.ignored.length > 0) detail.ignored = translation.ignored.join(', ');
	return translation ?? {};
}

function featurePlan(ask: {
	feature: Feature;
	prompt: AssembledPrompt;
	candidates: readonly Model[];
	call: CallParameters;
	question: string;
	sink: AnswerSink | null;
	startsMs: number;
	deadlineMs: number;
}): GenerationPlan {
	const { contract } = ask.feature.release;
	return {
		candidates: ask.candidates,
		escalateTo: ask.feature.escalateTo,
		messages: ask.prompt.messages,
		countTokensIn: () => ask.prompt.tokensIn,
		call: ask.call,
		formats: contract.guards.structured?.formats ?? null,
		grounding: { question: ask.question, passages: ask.prompt.passages, abstention: contract.guards.abstention },
		attemptsMax: contract.models.attemptsMax,
		hedge: contract.models.hedge,
		onFailure: contract.onFailure,
		costMicrosMax: contract.budget.costMicrosMax,
		grantedMs: contract.budget.deadlineMs * contract.budget.stepShare.generate,
		endsMs: ask.startsMs + ask.deadlineMs * contract.budget.stepShare.generate,
		sink: ask.sink,
	};
}

/** A feature's stream; what is looked at before it is sent, its contract says. */
function outgoingStream({ release, guards }: Feature, sink: AnswerSink, { passages }: AssembledPrompt): OutgoingStream {
	const { stream, streamWindowChars: windowChars } = release.contract;
	if (stream !== 'held') return new OutgoingStream(sink, null, { passesThoughts: passesThoughts(release.contract) });
	const judge = (beginning: string) => {
		for (const one of guards) {
			const verdict = one.checkBeginning?.(beginning, { passages }) ?? null;
			if (verdict !== null) return verdict;
		}
		return null;
	};
	return new OutgoingStream(sink, { windowChars, judge });
}

function passesThoughts({ models }: Contract): boolean {
	return models.thinking === 'pass';
}

/** generate and guard, again where the contract's policy for an invalid output says so. */
async function generateGuarded(
	context: RequestContext,
	feature: Feature,
	ask: { plan: GenerationPlan; prompt: AssembledPrompt; question: string; parts: PipelineParts },
): Promise<Answer> {
	const { passages } = ask.prompt;
	const { contract } = feature.release;
	const outgoing = outgoingOf(ask.plan.sink);
	let { plan } = ask;
	let mayReAsk = contract.guards.structured !== null && plan.sink === null;
	for (;;) {
		let generation = await generate(context, plan, ask.parts);
		markDegraded(context, generation.degraded);
		if (generation.kind === 'fallen_back') return fallbackAnswer(context, generation.answer, generation.degraded);
		const judge = ({ completion }: ProducedGeneration) =>
			guard(context, feature, {
				completion,
				question: ask.question,
				passages,
				mayRepair: plan.sink === null,
				found: outgoing?.failed ?? null,
			});
		let { failed, completion } = await judge(generation);
		if (failed?.guard === 'schema' && mayReAsk) {
			mayReAsk = false;
			const again = await reAsk(context, { ...ask, plan, generation, failed, contract });
			if (again !== null) {
				generation = again;
				({ failed, completion } = await judge(again));
			}
		}
		if (failed === null) {
			await outgoing?.release();
			const { cited } = parseCitations(completion.text, passages);
			return producedAnswer(
				context,
				{ ...generation, completion },
				{ citations: cited, passesThoughts: passesThoughts(contract) },
			);
		}

		const policy = contract.onFailure.invalid_output;
		const isUnseen = outgoing === null || !outgoing.started;
		if (policy.action === 'fall_back' && isUnseen) {
			return fallbackAnswer(context, policy.answer, 'invalid_output: fall_back');
		}
		const mayAsk = isUnseen && !context.mayHaveActed && context.attempts < plan.attemptsMax;
		const again = mayAsk ? nextPlan(plan, policy, generation.model) : null;
		if (again === null || !mayStart(context, again, ask.parts)) {
			throw new PlimsollError('guard_rejected', `The answer failed the guard "${failed.guard}": ${failed.reason}.`);
		}
		if (policy.action === 'escalate') context.trace.escalated_from = generation.model.upstream.name;
		plan = again;
	}
}

type ProducedGeneration = Extract<Generation, { kind: 'produced' }>;

/**
 * Asks the model of a misfit answer once more and tells it why. Null where the contract leaves no room for it, or where that
 * failed: the first answer's failure then stands, and the contract's policy for it.
 */
async function reAsk(
	context: RequestContext,
	ask: {
		plan: GenerationPlan;
		generation: ProducedGeneration;
		failed: GuardVerdict;
		contract: Contract;
		parts: PipelineParts;
	},
): Promise<ProducedGeneration | null> {
	const { generation, failed, contract, parts } = ask;
	const { model, completion } = generation;
	const misfit = { model, text: completion.text, failed, tokensInMax: contract.budget.tokensInMax };
	const plan = reAskPlan(context, { ...ask.plan, onFailure: NO_POLICIES }, misfit);
	if (plan === null || !mayStart(context, plan, parts)) return null;
	try {
		const again = await generate(context, plan, parts);
		return again.kind === 'produced' ? again : null;
	} catch (error) {
		context.throwIfOver();
		// What was refused is not routed around, and what may have acted is not done over.
		const isFinal = !(error instanceof PlimsollError) || error.category === 'internal' || FINAL.has(error.code);
		if (isFinal) throw error;
		return null;
	}
}

const FINAL: ReadonlySet<ErrorCode> = new Set(['upstream_content_filtered', 'upstream_outcome_unknown']);

/** Whether the first upstream of a plan may be asked: for the first time always, again within the retry budgets. */
function mayStart(context: RequestContext, { candidates }: GenerationPlan, { retries }: PipelineParts): boolean {
	const name = candidates[0]?.upstream.name ?? '';
	return !context.asked.has(name) || retries.allows(name, context.caller.tenantId);
}

/** What to ask after a guard refused; null when the policy is to stop, or was already followed as far as it goes. */
function nextPlan(plan: GenerationPlan, policy: FailureAction, last: Model): GenerationPlan | null {
	if (policy.action === 'retry') return plan;
	if (policy.action === 'escalate' && plan.escalateTo !== null && plan.escalateTo !== last) {
		return { ...plan, candidates: [plan.escalateTo], escalateTo: null };
	}
	return null;
}

async function answerAsUpstream(
	context: RequestContext,
	request: ChatRequest,
	{ model, bare, parts }: { model: Model; bare: Snapshot['bare']; parts: PipelineParts },
): Promise<Answer> {
	const call = await context.step('route', ({ detail }) => {
		detail.route = model.upstream.name;
		noteTranslation(request, detail);
		if (request.images) {
			requireImages(request.images, bare.images, model.upstream);
			detail.images = request.images.length;
		}
		return request.translation
			? translatedParameters(request.parameters, model.upstream)
			: bareParameters(request.parameters);
	});
	const generation = await generate(
		context,
		{
			candidates: [model],
			escalateTo: null,
			messages: request.messages,
			countTokensIn: () => tokensOf(request, model),
			call,
			formats: null,
			grounding: { question: lastUserText(request.messages), passages: [], abstention: null },
			attemptsMax: bare.attemptsMax,
			hedge: null,
			onFailure: BARE_POLICIES,
			costMicrosMax: null,
			grantedMs: bare.deadlineMs,
			endsMs: context.deadlineMs,
			sink: request.sink,
		},
		parts,
	);
	const final =
		generation.kind === 'produced'
			? producedAnswer(context, generation, { citations: [], passesThoughts: true })
			: fallbackAnswer(context, generation.answer, generation.degraded);
	return respond(context, null, final);
}

function tokensOf(request: ChatRequest, { upstream }: Model): number {
	const { images } = request;
	const input = sentAsInput(request);
	if (images === undefined) return countTokens(canonicalJson(input), upstream.tokenizer);
	const urls = new Set<unknown>(images.map(({ url }) => url));
	// An image's base64 is no text that a model reads; the same in a text is.
	const text = JSON.stringify(input, (member, value) => (IMAGE_MEMBERS.has(member) && urls.has(value) ? '' : value));
	return images.reduce((sum, image) => sum + imageTokens(image), countTokens(text, upstream.tokenizer));
}

/** Where a message holds an image, as data or as an address. */
const IMAGE_MEMBERS: ReadonlySet<string> = new Set(['url', 'image_url', 'file_data']);

/** Everything of a bare request that the provider reads as input, and bills. */
function sentAsInput({ messages, parameters }: ChatRequest): unknown {
	const { tools, functions, response_format: format } = parameters;
	return tools || functions || format ? { messages, tools, functions, format } : messages;
}

const BARE_POLICIES: GenerationPlan['onFailure'] = { ...NO_POLICIES, upstream_outage: { action: 'retry' } };

/** respond: hands over what was held back until it was whole and guarded. */
function respond(context: RequestContext, sink: AnswerSink | null, final: Answer): Promise<Answer> {
	return context.step('respond', async ({ detail }) => {
		detail.citations = final.citations.length;
		if (final.citations.length > 0) detail.cited = final.citations.map(({ number }) => number).join(' ');
		if (sink !== null) {
			context.markFirstToken();
			const nothing = { text: '', finishReason: null, usage: null, served: null, confidence: null, raw: null };
			for (const thought of final.thoughts) await sink.chunk({ ...nothing, thought: { ...thought, begins: true } });
			const { text, finishReason, usage, confidence } = final;
			await sink.chunk({ ...nothing, text, finishReason, usage, confidence });
			return { ...final, thoughts: [] };
		}
		return final;
	});
}
