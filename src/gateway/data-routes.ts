import { mayCall, requireFeature } from '../policy/access.ts';
import type { RequestContext } from '../runtime/request-context.ts';
import { PlimsollError } from '../spec/errors.ts';
import { ChatBody, InvokeBody, readChatBody, SearchBody } from './chat-body.ts';
import { chatCompletion, type Envelope, invokeResponse } from './chat-response.ts';
import { ChatStream } from './chat-stream.ts';
import { converse } from './converse.ts';
import { EmbeddingsBody, readEmbeddingsBody } from './embeddings-body.ts';
import { embeddingsResponse } from './embeddings-response.ts';
import { FEEDBACK_ROUTE } from './feedback-routes.ts';
import { InvokeStream } from './invoke-stream.ts';
import { checkBody } from './json-body.ts';
import { CountTokensBody, MessagesBody, readMessagesBody } from './messages-body.ts';
import { messageOf } from './messages-response.ts';
import { MessagesStream } from './messages-stream.ts';
import { ResponsesBody, readResponsesBody } from './responses-body.ts';
import { wholeResponse } from './responses-response.ts';
import { ResponsesStream } from './responses-stream.ts';
import { callerOf, type Exchange, pathParameter, type Route, type TracedExchange } from './route.ts';
import { searchResponse } from './search-response.ts';

/** The data surface: what applications call. */
export const DATA_ROUTES: readonly Route[] = [
	{
		method: 'POST',
		path: '/v1/chat/completions',
		scope: 'invoke',
		traced: true,
		summary:
			'Ask a feature or a bare upstream, by its name as the model. OpenAI’s chat completions, streamed or whole.',
		body: ChatBody,
		handle: chat,
	},
	{
		method: 'POST',
		path: '/v1/responses',
		scope: 'invoke',
		traced: true,
		summary: 'The same in the format of OpenAI’s Responses API, streamed or whole. Nothing is stored.',
		body: ResponsesBody,
		handle: responses,
	},
	{
		method: 'POST',
		path: '/v1/messages',
		scope: 'invoke',
		traced: true,
		dialect: 'anthropic',
		summary: 'The same in the format of Anthropic’s Messages API, streamed or whole.',
		body: MessagesBody,
		handle: messages,
	},
	{
		method: 'POST',
		path: '/v1/messages/count_tokens',
		scope: 'invoke',
		traced: true,
		dialect: 'anthropic',
		summary: 'Count what such a message would send: of a feature its prompt without passages. Nothing is asked.',
		body: CountTokensBody,
		handle: tokens,
	},
	{
		method: 'POST',
		path: '/v1/embeddings',
		scope: 'invoke',
		traced: true,
		summary: 'Embed texts by an embedder, by its name or alias as the model. OpenAI’s embeddings.',
		body: EmbeddingsBody,
		handle: embeddings,
	},
	{
		method: 'POST',
		path: '/v1/features/{feature}/invoke',
		scope: 'invoke',
		traced: true,
		summary:
			'Ask a feature with typed input, whole or as a stream of parts; the output is JSON where its contract has an output schema.',
		body: InvokeBody,
		handle: invoke,
	},
	{
		method: 'POST',
		path: '/v1/collections/{collection}/search',
		scope: 'invoke',
		traced: true,
		summary: 'Search a collection: ids, scores by leg, positions and text.',
		body: SearchBody,
		handle: search,
	},
	FEEDBACK_ROUTE,
	{
		method: 'GET',
		path: '/v1/models',
		scope: 'invoke',
		traced: false,
		summary: 'Names that the caller can put in model: features first, then bare upstreams, then embedders.',
		body: null,
		handle: models,
	},
	{
		method: 'GET',
		path: '/v1/models/{model}',
		scope: 'invoke',
		traced: false,
		summary: 'One of these names; an upstream’s slash is sent as %2F.',
		body: null,
		handle: model,
	},
];

function chat(exchange: TracedExchange): Promise<unknown> {
	const { request, parts, context, outlet } = exchange;
	const { stream, includeUsage, ...ask } = readChatBody(checkBody(ChatBody, request.body));
	const envelope = envelopeOf(context, ask.model);
	const relays = !parts.runtime.snapshot.features.has(ask.model);
	return converse(exchange, ask, {
		events: stream ? new ChatStream(outlet, envelope, { includeUsage, relays }) : null,
		whole(answer) {
			if (answer.raw === null) return chatCompletion(envelope, answer);
			outlet.header('content-type', 'application/json; charset=utf-8');
			return answer.raw;
		},
	});
}

function messages(exchange: TracedExchange): Promise<unknown> {
	const { request, context, outlet } = exchange;
	const body = checkBody(MessagesBody, request.body);
	const envelope = envelopeOf(context, body.model);
	return converse(exchange, readMessagesBody(body), {
		events: body.stream ? new MessagesStream(outlet, envelope) : null,
		whole: (answer) => messageOf(envelope, answer),
	});
}

async function tokens({ request, parts, context }: TracedExchange): Promise<unknown> {
	const ask = readMessagesBody(checkBody(CountTokensBody, request.body));
	return { input_tokens: await parts.runtime.countTokens(context, { ...ask, sink: null }) };
}

function responses(exchange: TracedExchange): Promise<unknown> {
	const { request, context, outlet } = exchange;
	const body = checkBody(ResponsesBody, request.body);
	const { ask, echo } = readResponsesBody(body);
	const envelope = envelopeOf(context, body.model);
	return converse(exchange, ask, {
		events: body.stream ? new ResponsesStream(outlet, envelope, echo) : null,
		whole: (answer) => wholeResponse(envelope, echo, answer),
	});
}

async function embeddings({ request, parts, context, outlet }: TracedExchange): Promise<string> {
	const { encoding, ...ask } = readEmbeddingsBody(checkBody(EmbeddingsBody, request.body));
	const embedding = await parts.runtime.embed(context, ask);
	outlet.header('x-plimsoll-upstream', embedding.embedder);
	outlet.header('content-type', 'application/json; charset=utf-8');
	return embeddingsResponse(embedding, { model: ask.model, encoding });
}

function invoke(exchange: TracedExchange): Promise<unknown> {
	const { context } = exchange;
	const name = pathParameter(exchange.request, 'feature');
	const { input, history, max_tokens: maxTokens, user, stream } = checkBody(InvokeBody, exchange.request.body);
	const { question = '', ...variables } = input;
	const { runtime } = exchange.parts;
	requireFeature(context.caller, name);
	const feature = runtime.snapshot.features.get(name);
	if (!feature)
		throw new PlimsollError('model_not_found', `No feature is named "${name.slice(0, 100)}".`, { param: 'feature' });
	const envelope = envelopeOf(context, name);
	const isJson = feature.release.contract.guards.outputSchema !== null;
	const ask = {
		model: name,
		messages: [...history, { role: 'user', content: question }],
		variables,
		parameters: maxTokens === undefined ? {} : { max_tokens: maxTokens },
		user: user ?? null,
	};
	const { partCheck } = feature;
	return converse(exchange, ask, {
		events: stream ? new InvokeStream(exchange.outlet, envelope, { context, isJson, partCheck }) : null,
		whole: (answer) => invokeResponse(envelope, answer, isJson),
	});
}

async function search(exchange: TracedExchange): Promise<unknown> {
	const { context } = exchange;
	const { query, k, mode, filter } = checkBody(SearchBody, exchange.request.body);
	const collection = pathParameter(exchange.request, 'collection');
	const found = await exchange.parts.runtime.search(context, {
		collection,
		query,
		k,
		mode: mode ?? null,
		where: filter,
	});
	return searchResponse(context.id, found);
}

function models(exchange: Exchange): unknown {
	return { object: 'list', data: modelRows(exchange) };
}

function model(exchange: Exchange): unknown {
	const name = pathParameter(exchange.request, 'model');
	const row = modelRows(exchange).find(({ id }) => id === name);
	if (row) return row;
	throw new PlimsollError('model_not_found', `No feature, upstream or embedder is named "${name.slice(0, 100)}".`, {
		param: 'model',
	});
}

/** What the caller may call, and nothing that would tell of more. */
function modelRows(exchange: Exchange) {
	const { features, upstreams, embedders } = exchange.parts.runtime.snapshot;
	const caller = callerOf(exchange);
	const row = (id: string, kind: string, ownedBy: string) => ({
		id,
		object: 'model',
		created: 0,
		owned_by: ownedBy,
		plimsoll: { kind },
	});
	return [
		...[...features.values()]
			.map(({ release: { contract } }) => row(contract.feature, 'feature', contract.owner))
			.filter(({ id }) => mayCall(caller, id)),
		...[...upstreams.values()]
			.map(({ upstream }) => row(upstream.name, 'upstream', upstream.provider))
			.filter(({ id }) => mayCall(caller, id)),
		...[...embedders]
			.filter(([, { name }]) => mayCall(caller, name))
			.map(([id, { provider }]) => row(id, 'embedder', provider)),
	];
}

function envelopeOf(context: RequestContext, model: string): Envelope {
	return { requestId: context.id, created: Math.floor(context.trace.started_at / 1000), model };
}
