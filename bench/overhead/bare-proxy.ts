/** The least that a gateway in Node can do: Fastify in front, undici behind, bytes through. The baseline. */
import Fastify from 'fastify';
import { Pool } from 'undici';
import { reportVitals, sayReady } from './process.ts';

const upstream = new URL(process.argv[2] ?? '');
const pool = new Pool(upstream.origin, { connections: 512, pipelining: 1 });
const app = Fastify();
app.removeAllContentTypeParsers();
app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
app.post('/v1/chat/completions', async (request, reply) => {
	const answer = await pool.request({
		path: '/v1/chat/completions',
		method: 'POST',
		headers: { 'content-type': 'application/json' },
		body: request.body as Buffer,
	});
	reply.code(answer.statusCode).header('content-type', String(answer.headers['content-type']));
	return reply.send(answer.body);
});
reportVitals();
sayReady({ url: await app.listen({ host: '127.0.0.1', port: 0 }) });
