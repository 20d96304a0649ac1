import { redisScript } from './redis-scripts.ts';

/**
 * KEYS: the record, then of its tenant the records by expiry, the bodies by expiry, and how many bytes these are.
 * ARGV: now, the prefix of the tenant's records, the key's hash; then what the script says. The body of a record stands
 * under its own name with `:body`. All of them have the tenant in braces, so that a cluster keeps them together.
 */
const PRELUDE = `
local now, prefix, hash = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local record, records, bodies, total = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function text(number) return string.format('%.0f', number) end
local function drop_body(member)
	local bytes, of = string.match(member, '^(%d+):(.*)$')
	if redis.call('ZREM', bodies, member) == 1 then redis.call('DECRBY', total, bytes) end
	redis.call('DEL', prefix .. of .. ':body')
	return of
end
local function forget()
	local bytes = redis.call('HGET', record, 'bytes')
	if bytes then drop_body(bytes .. ':' .. hash) end
	redis.call('DEL', record)
	redis.call('ZREM', records, hash)
end
local function prune()
	redis.call('ZREMRANGEBYSCORE', records, '-inf', text(now))
	for _, member in ipairs(redis.call('ZRANGEBYSCORE', bodies, '-inf', text(now), 'LIMIT', 0, 100)) do drop_body(member) end
end
local function keep(expires)
	for _, key in ipairs({ records, bodies, total }) do
		local left = redis.call('PTTL', key)
		if left >= -1 and left < expires - now + 60000 then redis.call('PEXPIRE', key, text(expires - now + 60000)) end
	end
end
local function is_held(request)
	local found = redis.call('HMGET', record, 'request', 'phase')
	return found[1] == request and found[2] == 'claimed'
end
`;

/** As decideClaim in policy/idempotency. ARGV: fingerprint, request, lease until, expires, most records. */
export const CLAIM = redisScript(`${PRELUDE}
local fingerprint, request, lease, expires, most = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
local found = redis.call('HMGET', record, 'fingerprint', 'request', 'phase', 'lease', 'expires', 'effects')
if found[1] then
	local phase, is_alive = found[3], tonumber(found[4]) > now
	local is_forgotten = tonumber(found[5]) <= now and not (phase == 'claimed' and is_alive)
	local is_harmless = phase == 'claimed' and not is_alive and found[6] == ''
	if not is_forgotten and not is_harmless then
		if found[1] ~= fingerprint then return { 'reused' } end
		if phase == 'not_stored' then return { 'not_stored', found[2] } end
		if phase == 'claimed' then
			if is_alive then return { 'running', found[2] } end
			return { 'unknown', found[2], found[6] }
		end
		local body = redis.call('GET', record .. ':body')
		if not body then return { 'not_stored', found[2] } end
		return { 'stored', found[2], redis.call('HGET', record, 'head'), body }
	end
	forget()
else
	if redis.call('ZCARD', records) >= most then prune() end
	if redis.call('ZCARD', records) >= most then return { 'full' } end
end
redis.call('HSET', record, 'fingerprint', fingerprint, 'request', request, 'phase', 'claimed', 'lease', lease, 'expires', expires, 'effects', '')
local ends = math.max(tonumber(expires), tonumber(lease))
redis.call('PEXPIRE', record, text(ends - now + 60000))
redis.call('ZADD', records, expires, hash)
keep(ends)
return { 'claimed' }
`);

/**
 * ARGV: request, then `lease`, `begin`, `void` or `release`, and its value. Reply: 1 when the key is still held. A Redis that
 * is full may run it too: what is under way must not lose its key for that.
 */
export const HOLD = redisScript(`#!lua flags=allow-oom${PRELUDE}
local request, act, value = ARGV[4], ARGV[5], ARGV[6]
if not is_held(request) then return 0 end
local effects = redis.call('HGET', record, 'effects')
if act == 'lease' then
	redis.call('HSET', record, 'lease', value)
elseif act == 'begin' then
	redis.call('HSET', record, 'effects', effects .. value)
elseif act == 'void' then
	local from, to = string.find(effects, value, 1, true)
	if from then redis.call('HSET', record, 'effects', string.sub(effects, 1, from - 1) .. string.sub(effects, to + 1)) end
elseif effects == '' then
	forget()
else
	redis.call('HSET', record, 'lease', '0')
end
return 1
`);

/** ARGV: request, expires, 1 when there is a response, its head, its body, its bytes, most bytes. Reply: 1 when it counts. */
export const COMPLETE = redisScript(`${PRELUDE}
local request, expires, has_body = ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'
local head, body, bytes, most = ARGV[7], ARGV[8], ARGV[9], tonumber(ARGV[10])
if not is_held(request) then return 0 end
prune()
redis.call('HSET', record, 'phase', has_body and 'stored' or 'not_stored', 'expires', text(expires), 'head', head)
local life = text(math.max(1, expires - now))
redis.call('PEXPIRE', record, life)
redis.call('ZADD', records, text(expires), hash)
if has_body then
	redis.call('HSET', record, 'bytes', bytes)
	redis.call('SET', record .. ':body', body, 'PX', life)
	redis.call('ZADD', bodies, text(expires), bytes .. ':' .. hash)
	redis.call('INCRBY', total, bytes)
	while tonumber(redis.call('GET', total)) > most do
		local oldest = redis.call('ZRANGE', bodies, 0, 0)[1]
		if not oldest then redis.call('SET', total, '0') break end
		local of = prefix .. drop_body(oldest)
		if redis.call('EXISTS', of) == 1 then redis.call('HSET', of, 'phase', 'not_stored') end
	end
end
keep(expires)
return 1
`);
