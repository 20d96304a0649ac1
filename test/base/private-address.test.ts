import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from '../../src/base/http.ts';
import { isPrivateAddress } from '../../src/base/private-address.ts';

it.each([
	'127.0.0.1',
	'10.1.2.3',
	'172.16.0.1',
	'172.31.255.255',
	'192.168.1.1',
	'169.254.169.254',
	'100.64.0.1',
	'0.0.0.0',
	'224.0.0.1',
	'255.255.255.255',
	'::1',
	'[::1]',
	'::',
	'fe80::1%eth0',
	'fec0::1',
	'fd00::1',
	'::ffff:10.0.0.1',
	'::ffff:7f00:1',
	'::127.0.0.1',
	'64:ff9b::a00:1',
	'2002:7f00:1::',
])('%s is private', (address) => {
	expect(isPrivateAddress(address)).toBe(true);
});

it.each(['8.8.8.8', '172.32.0.1', '172.15.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8', 'example.com', ''])(
	'%s is not',
	(address) => {
		expect(isPrivateAddress(address)).toBe(false);
	},
);

it('a client for public addresses reaches none of this machine, by whatever name, and sends it nothing', async () => {
	let asked = 0;
	const server = createServer((_, response) => {
		asked++;
		response.end();
	});
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
	const { port } = server.address() as AddressInfo;
	const http = createHttpClient({ connectionsMax: 1, connectMs: 1_000, publicOnly: true });
	onTestFinished(async () => {
		await http.close();
		server.close();
	});
	for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]']) {
		const url = `http://${host}:${port}/`;
		const asking = http.request({ url, method: 'GET', headers: {}, body: null, signal: null });
		await expect(asking).rejects.toThrow('private address');
	}
	expect(asked).toBe(0);
});
