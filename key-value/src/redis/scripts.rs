//! What Redis does in one step where its own commands would need several. Redis keeps scripts by their digest; one that it
//! does not know is sent to it.

use std::sync::LazyLock;

use redis::Script;

/// The values of a bucket's keys. Keys: values. Arguments: the most bytes, and the keys. Answers how many bytes they have if
/// these are more.
pub(super) static GET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
            local bytes = 0
            for index = 2, #ARGV do
                bytes = bytes + redis.call('HSTRLEN', KEYS[1], ARGV[index])
            end
            if bytes > tonumber(ARGV[1]) then
                return bytes
            end
            if #ARGV == 1 then
                return {}
            end
            return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
        ",
    )
});

/// What the other scripts begin with. Keys: values, keys, and what the bucket's namespace keeps (a hash of `bytes`, `keys`, and
/// a field for each bucket that is counted in them). Arguments: the most bytes, the most keys, the bucket, and the script's own.
///
/// A bucket of a version that did not count is counted when it is first written to.
const COUNTING: &str = "
    local function count()
        if redis.call('HSETNX', KEYS[3], 'bucket:' .. ARGV[3], 1) == 0 then
            return
        end
        local bytes, keys = 0, redis.call('HKEYS', KEYS[1])
        for _, key in ipairs(keys) do
            bytes = bytes + #key + redis.call('HSTRLEN', KEYS[1], key)
        end
        redis.call('HINCRBY', KEYS[3], 'bytes', string.format('%.0f', bytes))
        redis.call('HINCRBY', KEYS[3], 'keys', #keys)
    end

    local function refused(bytes, keys)
        local has = redis.call('HMGET', KEYS[3], 'bytes', 'keys')
        local new_bytes, new_keys = (tonumber(has[1]) or 0) + bytes, (tonumber(has[2]) or 0) + keys
        if bytes > 0 and new_bytes > tonumber(ARGV[1]) then
            return {'bytes', string.format('%.0f', new_bytes)}
        end
        if keys > 0 and new_keys > tonumber(ARGV[2]) then
            return {'keys', string.format('%.0f', new_keys)}
        end
        redis.call('HINCRBY', KEYS[3], 'bytes', string.format('%.0f', bytes))
        redis.call('HINCRBY', KEYS[3], 'keys', string.format('%.0f', keys))
        return nil
    end

    local function growth(key, length)
        if redis.call('HEXISTS', KEYS[1], key) == 1 then
            return length - redis.call('HSTRLEN', KEYS[1], key), 0
        end
        return #key + length, 1
    end
";

fn counting(script: &str) -> Script {
    Script::new(&format!("{COUNTING}{script}"))
}

/// Sets keys, each of which is given once. Arguments of its own: keys and values in turn. Answers nothing, or which part of the
/// quota the namespace would be over, and how much it would have.
pub(super) static SET: LazyLock<Script> = LazyLock::new(|| {
    counting(
        "
            count()
            local bytes, keys = 0, 0
            for index = 4, #ARGV, 2 do
                local more, one = growth(ARGV[index], #ARGV[index + 1])
                bytes, keys = bytes + more, keys + one
            end
            local over = refused(bytes, keys)
            if over then
                return over
            end
            for index = 4, #ARGV, 2 do
                redis.call('HSET', KEYS[1], ARGV[index], ARGV[index + 1])
                redis.call('ZADD', KEYS[2], 0, ARGV[index])
            end
            return false
        ",
    )
});

/// Deletes keys. Arguments of its own: the keys.
///
/// A Redis that is full deletes, and yet writes down no smaller number: then what the namespace keeps is forgotten, and its
/// buckets are counted again.
pub(super) static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
            local bytes, keys = 0, 0
            for index = 4, #ARGV do
                local length = redis.call('HSTRLEN', KEYS[1], ARGV[index])
                if redis.call('HDEL', KEYS[1], ARGV[index]) == 1 then
                    bytes, keys = bytes - #ARGV[index] - length, keys - 1
                end
                redis.call('ZREM', KEYS[2], ARGV[index])
            end
            if keys == 0 or redis.call('HEXISTS', KEYS[3], 'bucket:' .. ARGV[3]) == 0 then
                return false
            end
            for field, change in pairs({bytes = bytes, keys = keys}) do
                local counted = redis.pcall('HINCRBY', KEYS[3], field, string.format('%.0f', change))
                if type(counted) == 'table' and counted.err then
                    redis.call('DEL', KEYS[3])
                    return false
                end
            end
            return false
        ",
    )
});

/// Adds to a number. Arguments of its own: the key, and what to add. Answers the sum; nothing if it is no number, or if the sum
/// does not fit; or what [`SET`] does.
///
/// Redis takes no plus and no zeros in front, which other stores do. Numbers of Lua are not exact, so it makes no sums.
pub(super) static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    counting(
        "
            count()
            local key = ARGV[4]
            local stored = redis.call('HGET', KEYS[1], key)
            local function restore()
                if stored then
                    redis.call('HSET', KEYS[1], key, stored)
                else
                    redis.call('HDEL', KEYS[1], key)
                end
            end
            if stored then
                local sign, digits = string.match(stored, '^([+-]?)(%d+)$')
                if not digits then
                    return false
                end
                digits = string.gsub(digits, '^0+', '')
                if digits == '' then
                    digits, sign = '0', ''
                end
                if sign == '-' then
                    digits = '-' .. digits
                end
                if digits ~= stored then
                    redis.call('HSET', KEYS[1], key, digits)
                end
            end
            local added = redis.pcall('HINCRBY', KEYS[1], key, ARGV[5])
            if type(added) == 'table' and added.err then
                if stored then
                    restore()
                end
                if string.find(added.err, 'not an integer') or string.find(added.err, 'overflow') then
                    return false
                end
                return added
            end
            local sum = redis.call('HGET', KEYS[1], key)
            local over
            if stored then
                over = refused(#sum - #stored, 0)
            else
                over = refused(#key + #sum, 1)
            end
            if over then
                restore()
                return over
            end
            redis.call('ZADD', KEYS[2], 0, key)
            return sum
        ",
    )
});

/// Sets a key if it is as expected. Arguments of its own: the key, the new value, and the expected one unless none is expected.
/// Answers 1 if it was set; 0 if it is not as expected; or what [`SET`] does.
pub(super) static SWAP: LazyLock<Script> = LazyLock::new(|| {
    counting(
        "
            local current = redis.call('HGET', KEYS[1], ARGV[4])
            if current ~= (ARGV[6] or false) then
                return 0
            end
            count()
            local over = refused(growth(ARGV[4], #ARGV[5]))
            if over then
                return over
            end
            redis.call('HSET', KEYS[1], ARGV[4], ARGV[5])
            redis.call('ZADD', KEYS[2], 0, ARGV[4])
            return 1
        ",
    )
});
