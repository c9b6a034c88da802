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

/// Adds to a number. Keys: values, keys. Arguments: the key, and what to add. Answers nothing if it is no number, or if the
/// sum does not fit.
///
/// Redis takes no plus and no zeros in front, which other stores do. Numbers of Lua are not exact, so it makes no sums.
pub(super) static INCREMENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
            local stored = redis.call('HGET', KEYS[1], ARGV[1])
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
                    redis.call('HSET', KEYS[1], ARGV[1], digits)
                end
            end
            local added = redis.pcall('HINCRBY', KEYS[1], ARGV[1], ARGV[2])
            if type(added) == 'table' and added.err then
                if stored then
                    redis.call('HSET', KEYS[1], ARGV[1], stored)
                end
                if string.find(added.err, 'not an integer') or string.find(added.err, 'overflow') then
                    return false
                end
                return added
            end
            redis.call('ZADD', KEYS[2], 0, ARGV[1])
            return redis.call('HGET', KEYS[1], ARGV[1])
        ",
    )
});

/// Sets a key if it is as expected. Keys: values, keys. Arguments: the key, the new value, and the expected one unless none
/// is expected. Answers an empty list if it was set, and else what is there, in a list.
pub(super) static SWAP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "
            local current = redis.call('HGET', KEYS[1], ARGV[1])
            if current ~= (ARGV[3] or false) then
                return {current}
            end
            redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
            redis.call('ZADD', KEYS[2], 0, ARGV[1])
            return {}
        ",
    )
});
