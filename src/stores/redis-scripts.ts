import { createHash } from 'node:crypto';

/** A Lua script, run by its hash: Redis compiles it once. */
export interface RedisScript {
	readonly lua: string;
	readonly sha: string;
}

export function redisScript(lua: string): RedisScript {
	// Redis names scripts by SHA-1; nothing secret hangs on it.
	return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

function script(body: string): RedisScript {
	return redisScript(PRELUDE + body);
}

/**
 * A counter is a hash of cells: field `until:expires`, value the amount, as in policy/limits. Every number is an
 * integer below 2^53, which Lua's doubles hold exactly; written as text it must not turn into 9e+15.
 */
const PRELUDE = `
local now = tonumber(ARGV[1])
-- As KEPT_MS in policy/limits.
local kept_ms = 5000
local function text(number) return string.format('%.0f', number) end
local function end_of(until_ms, expires)
	if expires == 0 then return until_ms end
	if until_ms == 0 or expires < until_ms then return expires end
	return until_ms
end
local function read(key)
	local cells, used, last = {}, 0, now
	local raw = redis.call('HGETALL', key)
	for i = 1, #raw, 2 do
		local until_ms, expires = string.match(raw[i], '^(%d+):(%d+)$')
		local cell = { field = raw[i], settled = expires == '0', amount = tonumber(raw[i + 1]) }
		cell.ends = end_of(tonumber(until_ms), tonumber(expires))
		if cell.ends > now then
			cells[#cells + 1] = cell
			used = used + cell.amount
			if cell.ends > last then last = cell.ends end
		end
	end
	return cells, used, last
end
local function sweep(key)
	local raw = redis.call('HKEYS', key)
	for i = 1, #raw do
		local until_ms, expires = string.match(raw[i], '^(%d+):(%d+)$')
		if end_of(tonumber(until_ms), tonumber(expires)) <= now - kept_ms then redis.call('HDEL', key, raw[i]) end
	end
end
local function keep(key, last)
	if last > now - kept_ms then redis.call('PEXPIRE', key, text(last - now + 60000)) end
end
`;

/** ARGV: now, expires, then for each key max, amount, until, 1 when it is final. Reply: granted, then used, reset, wait (-1: never). */
export const RESERVE = script(`
local expires = ARGV[2]
local reply, granted = { 1 }, true
local lasts = {}
for i, key in ipairs(KEYS) do
	local max, amount = tonumber(ARGV[i * 4 - 1]), tonumber(ARGV[i * 4])
	local cells, used, last = read(key)
	local wait = 0
	if amount > 0 and used + amount > max then
		granted = false
		if amount > max then
			wait = -1
		else
			table.sort(cells, function(a, b) return a.ends < b.ends end)
			local left = used + amount - max
			for _, cell in ipairs(cells) do
				left = left - cell.amount
				if left <= 0 then wait = cell.ends - now; break end
			end
		end
	end
	lasts[i] = last
	reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = used, last - now, wait
end
if not granted then reply[1] = 0 return reply end
for i, key in ipairs(KEYS) do
	local amount, until_ms, final = tonumber(ARGV[i * 4]), ARGV[i * 4 + 1], ARGV[i * 4 + 2]
	if amount > 0 then
		local held = final == '1' and '0' or expires
		sweep(key)
		redis.call('HINCRBY', key, until_ms .. ':' .. held, text(amount))
		local last = math.max(lasts[i], end_of(tonumber(until_ms), tonumber(held)))
		keep(key, last)
		reply[i * 3 - 1], reply[i * 3] = reply[i * 3 - 1] + amount, last - now
	end
end
return reply
`);

/**
 * ARGV: now, expires, then for each key amount, until, actual, 1 when it is final. Reply: used and reset of each. It puts
 * one number in the place of another, so that a Redis that is full may run it too: places would else stay taken.
 */
export const SETTLE = redisScript(`#!lua flags=allow-oom${PRELUDE}
local expires = ARGV[2]
local reply = {}
for i, key in ipairs(KEYS) do
	local amount, until_ms, actual = tonumber(ARGV[i * 4 - 1]), ARGV[i * 4], tonumber(ARGV[i * 4 + 1])
	if ARGV[i * 4 + 2] ~= '1' then
		local field = until_ms .. ':' .. expires
		if amount > 0 and end_of(tonumber(until_ms), tonumber(expires)) > now and redis.call('HEXISTS', key, field) == 1 then
			if redis.call('HINCRBY', key, field, text(-amount)) <= 0 then redis.call('HDEL', key, field) end
		end
		if actual > 0 and tonumber(until_ms) > now - kept_ms then
			redis.call('HINCRBY', key, until_ms .. ':0', text(actual))
			keep(key, tonumber(until_ms))
		end
	end
	local _, used, last = read(key)
	keep(key, last)
	reply[#reply + 1], reply[#reply + 2] = used, last - now
end
return reply
`);

/** ARGV: now. Reply: settled and reserved of each key. */
export const USAGE = script(`
local reply = {}
for _, key in ipairs(KEYS) do
	local settled, reserved = 0, 0
	for _, cell in ipairs((read(key))) do
		if cell.settled then settled = settled + cell.amount else reserved = reserved + cell.amount end
	end
	reply[#reply + 1], reply[#reply + 2] = settled, reserved
end
return reply
`);
