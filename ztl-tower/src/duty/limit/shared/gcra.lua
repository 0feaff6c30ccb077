-- Spends one of each count, or of none. KEYS: the caller's count, and the total's where there is one.
-- ARGV: for each, after how many nanoseconds one comes back, and how many there are at once.
-- Answers {0, how many the caller has left}, or {which count is spent, microseconds until one is back}.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local spent = {}
for i, key in ipairs(KEYS) do
  local period, burst = tonumber(ARGV[2 * i - 1]) / 1000, tonumber(ARGV[2 * i])
  -- Until when the count is spent. What another time has written is not believed beyond a whole count.
  local till = math.max(tonumber(redis.call('GET', key) or now), now)
  till = math.min(till, now + period * burst)
  local earliest = till - period * (burst - 1)
  if now < earliest then
    return {i, math.ceil(earliest - now)}
  end
  spent[i] = till + period
end
for i, key in ipairs(KEYS) do
  local millis = math.ceil((spent[i] - now) / 1000) + 1
  redis.call('SET', key, string.format('%.3f', spent[i]), 'PX', string.format('%.0f', millis))
end
local period, burst = tonumber(ARGV[1]) / 1000, tonumber(ARGV[2])
return {0, math.floor((now + period * burst - spent[1]) / period + 0.001)}
