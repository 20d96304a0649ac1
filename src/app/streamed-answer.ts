import type { z } from 'zod';
import type { AskReply, chatEvent } from './gateway-reply.ts';

/** An answer as its events tell it, piece by piece. */
export class StreamedAnswer {
	readonly #requestId: string;
	#text = '';
	#finishReason: string | null = null;
	#usage: AskReply['usage'] = null;
	#extras: z.output<typeof chatEvent>['plimsoll'];
	#ended = false;

	constructor(requestId: string) {
		this.#requestId = requestId;
	}

	/** The text that the event adds. */
	add(event: z.output<typeof chatEvent>): string {
		const choice = event.choices[0];
		this.#finishReason = choice?.finish_reason ?? this.#finishReason;
		this.#usage = event.usage ?? this.#usage;
		this.#extras = event.plimsoll ?? this.#extras;
		const text = choice?.delta?.content ?? '';
		this.#text += text;
		return text;
	}

	end(): string {
		this.#ended = true;
		return '';
	}

	/** Null when the stream was cut. A bare upstream's answer says nothing but its text. */
	whole(): AskReply | null {
		if (!this.#ended) return null;
		const bare = { feature: null, release: null, upstream: null, degraded: null, confidence: null, citations: [] };
		return {
			...(this.#extras ?? { request_id: this.#requestId, ...bare }),
			answer: this.#text,
			finish_reason: this.#finishReason,
			usage: this.#usage,
		};
	}
}
