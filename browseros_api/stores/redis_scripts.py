"""What the Redis store asks its server to do in one go."""

from __future__ import annotations

__all__ = [
    "CIRCUIT",
    "CIRCUITS",
    "DROP",
    "FORGET",
    "LEASE",
    "MEASURE",
    "READ",
    "RELEASE",
    "TURN",
    "WRITE",
]

TURN = 16  # digits before each record: microseconds of the server's clock when it was kept

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
"""

# KEYS: the answer.  A server that is short of memory lets go of what it likes: an answer that the
# index of its resource does not name could not be forgotten any more, so it is not there.
READ = """
local held = redis.pcall('HGETALL', KEYS[1])
for i = 1, #held, 2 do
    if held[i] == 'resource' then
        local named = redis.pcall('ZSCORE', held[i + 1], KEYS[1])
        if named and not named.err then return held end
    end
end
if held.err or #held > 0 then redis.call('UNLINK', KEYS[1]) end
return {}
"""

# KEYS: the answer, the index of its resource, the resource's last change, the index of everything.
# ARGV: variant, record, milliseconds to keep it and since it was asked for, most variants.
WRITE = f"""{_NOW}
local ttl, age, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', KEYS[1]) end
local changed = tonumber(redis.call('GET', KEYS[3]) or '-inf')
if ttl < 1 or changed > now - age then
    redis.call('HDEL', KEYS[1], ARGV[1])
    return 0
end

-- This comes before all other writing: behind it a server that is full would let everything pass.
local turn = string.format('%0{TURN}.0f', time[1] * 1000000 + time[2])
redis.call('HSET', KEYS[1], 'resource', KEYS[2], ARGV[1], turn .. ARGV[2])
if redis.call('HLEN', KEYS[1]) > most + 1 then
    local held, oldest, first = redis.call('HGETALL', KEYS[1]), nil, nil
    for i = 1, #held, 2 do
        local turn = string.sub(held[i + 1], 1, {TURN})
        if held[i] ~= 'resource' and (not first or turn < first) then
            oldest, first = held[i], turn
        end
    end
    redis.call('HDEL', KEYS[1], oldest)
end

local left = redis.call('PTTL', KEYS[1])
if left < ttl then
    redis.call('PEXPIRE', KEYS[1], ttl)
    left = ttl
end
for _, index in ipairs({{KEYS[2], KEYS[4]}}) do
    redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
    redis.call('ZADD', index, now + left, KEYS[1])
    if redis.call('PTTL', index) < left then redis.call('PEXPIRE', index, left) end
end
return 1
"""

# KEYS: the answer, the index of everything.  ARGV: a variant, or none for all of them.
DROP = """
if ARGV[1] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
redis.call('ZREM', KEYS[2], KEYS[1])
return redis.call('UNLINK', KEYS[1])
"""

# KEYS: the index of the resource, its last change, the index of everything.
# ARGV: milliseconds for which the change is to hold off answers that are older.
FORGET = f"""{_NOW}
local count = 0
for _, key in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZREM', KEYS[3], key)
    count = count + redis.call('UNLINK', key)
end
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[2], now, 'PX', ARGV[1])
return count
"""

# KEYS: the index of everything.  The size is that of a few, times all.
MEASURE = f"""{_NOW}
local count, size = redis.call('ZCOUNT', KEYS[1], now, '+inf'), 0
local few = redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf', 'LIMIT', 0, 32)
for _, key in ipairs(few) do
    for _, field in ipairs(redis.call('HKEYS', key)) do
        size = size + redis.call('HSTRLEN', key, field)
    end
end
return {{count, math.floor(size * count / math.max(#few, 1))}}
"""

# KEYS: the lease.  ARGV: who wants it, milliseconds.  An empty one says that waiting is in vain.
LEASE = """
local holder = redis.call('GET', KEYS[1])
if holder == '' then return 'GO' end
if holder and holder ~= ARGV[1] then return 'WAIT' end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'LEAD'
"""

# KEYS: the lease.  ARGV: who had it, milliseconds for which waiting is in vain, or 0.
RELEASE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
    redis.call('SET', KEYS[1], '', 'PX', ARGV[2])
else
    redis.call('UNLINK', KEYS[1])
end
return 1
"""

# A circuit that is not closed: who opened it, until when it is open and until when it is known at
# all, how many trials went well, and until when each that is under way may take.
_CIRCUIT = f"""{_NOW}
local function known(text)
    local is_read, circuit = pcall(cjson.decode, text or '')
    if is_read and type(circuit) == 'table' and (circuit.gone or 0) > now then return circuit end
end
"""

# KEYS: the circuits.
CIRCUITS = f"""{_CIRCUIT}
local held, told = redis.call('HGETALL', KEYS[1]), {{}}
for i = 1, #held, 2 do
    local circuit = known(held[i + 1])
    if circuit then
        for _, word in ipairs({{held[i], circuit.opening, circuit.till - now}}) do
            told[#told + 1] = word
        end
    else
        redis.call('HDEL', KEYS[1], held[i])
    end
end
return told
"""

# KEYS: the circuits.  ARGV: which of them, what has happened, to whom, milliseconds (that it is to
# be open, or that a trial may take), how many trials must go well, milliseconds that it is known.
# Told is whether a trial may begin, who opened the circuit, and milliseconds to the next change.
CIRCUIT = f"""{_CIRCUIT}
local name, event, who = ARGV[1], ARGV[2], ARGV[3]
local span, most, memory = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local circuit = known(redis.call('HGET', KEYS[1], name))
local is_open = circuit and circuit.till > now
local is_trial = circuit and circuit.trials[who]
local may_begin, wait = 0, 0

if (event == 'open' and not is_open) or (event == 'bad' and is_trial) then
    circuit = {{opening = who, till = now + span, good = 0, trials = {{}}}}
elseif event == 'close' then
    circuit = nil
elseif event == 'try' and circuit and not is_open then
    local count, first = circuit.good, nil
    for one, ends in pairs(circuit.trials) do
        if ends <= now then
            circuit.trials[one] = nil
        else
            count = count + 1
            if not first or ends < first then first = ends end
        end
    end
    if count < most then
        may_begin = 1
        circuit.trials[who] = now + span
    elseif first then
        wait = first - now
    end
elseif (event == 'good' or event == 'forgive') and is_trial then
    circuit.trials[who] = nil
    if event == 'good' then circuit.good = circuit.good + 1 end
    if circuit.good >= most then circuit = nil end
end

if not circuit then
    redis.call('HDEL', KEYS[1], name)
    return {{1, '', 0}}
end
circuit.gone = math.max(circuit.till, now) + memory
redis.call('HSET', KEYS[1], name, cjson.encode(circuit))
if redis.call('PTTL', KEYS[1]) < circuit.gone - now then
    redis.call('PEXPIRE', KEYS[1], circuit.gone - now)
end
return {{may_begin, circuit.opening, math.max(wait, circuit.till - now)}}
"""
