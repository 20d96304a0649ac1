import { crc32 } from 'node:zlib';

/**
 * One message of AWS's binary event stream: total length, length of the headers, their checksum, headers, payload,
 * checksum of it all. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
 */
export function eventStreamMessage(name: string, payload: unknown, kind: 'event' | 'exception' = 'event'): Buffer {
	const headers = Buffer.concat([
		header(':message-type', kind),
		header(kind === 'event' ? ':event-type' : ':exception-type', name),
		header(':content-type', 'application/json'),
	]);
	const body = Buffer.from(JSON.stringify(payload));
	const message = Buffer.alloc(16 + headers.length + body.length);
	message.writeUInt32BE(message.length, 0);
	message.writeUInt32BE(headers.length, 4);
	message.writeUInt32BE(crc32(message.subarray(0, 8)), 8);
	headers.copy(message, 12);
	body.copy(message, 12 + headers.length);
	message.writeUInt32BE(crc32(message.subarray(0, -4)), message.length - 4);
	return message;
}

const STRING = 7;

function header(name: string, value: string): Buffer {
	const length = Buffer.alloc(2);
	length.writeUInt16BE(Buffer.byteLength(value));
	return Buffer.concat([
		Buffer.of(Buffer.byteLength(name)),
		Buffer.from(name),
		Buffer.of(STRING),
		length,
		Buffer.from(value),
	]);
}
