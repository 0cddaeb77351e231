-- Run by wrk with one connection a thread, so that what a thread has been told belongs to one buyer. PLAN names a file
-- that load.py has written: which flows are gone through, how often against each other, with which values.

local ffi = require("ffi")
ffi.cdef("typedef struct { long s, us; } moment; int gettimeofday(moment *, void *);")

local plan = dofile(os.getenv("PLAN"))
local flow, at, told, began
local buyers = 0

-- done() reads these out of each thread, and for each flow how often it took so long: globals that are no tables, since
-- wrk cannot copy those. A flow that took 1.02^n microseconds or a little more is counted as its name and n.
failures, first_failure = 0, ""
local STEP, MOST = math.log(1.02), 950

local function now()
  local moment = ffi.new("moment")
  ffi.C.gettimeofday(moment, nil)
  return tonumber(moment.s) * 1000000 + tonumber(moment.us)
end

local threads = {}
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

function init()
  math.randomseed(plan.seed * 100 + number)
  for name, value in pairs(plan.headers) do wrk.headers[name] = value end
end

local function start()
  local dice = math.random() * plan.weight
  for _, candidate in ipairs(plan.flows) do
    flow, dice = candidate, dice - candidate.weight
    if dice < 0 then break end
  end
  buyers = buyers + 1
  at, told, began = 1, { buyer = string.format("%d-%d-%d", plan.seed, number, buyers) }, now()
  wrk.headers["Authorization"] = nil
end

local function value(name)
  if not told[name] then
    local choice = plan.values[name]
    told[name] = choice[math.random(#choice)]
  end
  return told[name]
end

local function has_any(body, signs)
  for _, sign in ipairs(signs) do
    if body:find(sign, 1, true) then return true end
  end
end

if #plan.flows > 0 then -- Without, wrk gets the address again and again, and nothing slows it down.
  function request()
    if not flow then start() end
    local body = flow.steps[at].body:gsub("%%{(%l+)}", value)
    return wrk.format("POST", nil, nil, body)
  end

  function response(status, headers, body)
    local step = flow.steps[at]
    if status ~= 200 or not has_any(body, step.expect) or has_any(body, plan.refusals) then
      failures = failures + 1
      if failures == 1 then first_failure = flow.name .. " " .. at .. ": " .. status .. " " .. body:sub(1, 600) end
      flow = nil
      return
    end
    for name, key in pairs(step.pick) do told[name] = assert(body:match('"' .. key .. '": ?"([^"]*)"'), key) end
    if headers[plan.token] then wrk.headers["Authorization"] = "Bearer " .. headers[plan.token] end
    at = at + 1
    if at > #flow.steps then
      local key = flow.name .. ":" .. math.min(math.floor(math.log(now() - began) / STEP), MOST)
      _G[key] = (_G[key] or 0) + 1
      flow = nil
    end
  end
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

local function told_of(name)
  local tally, sum, p50, p99 = {}, 0, 0, 0
  for n = 0, MOST do
    for _, thread in ipairs(threads) do tally[n] = (tally[n] or 0) + (thread:get(name .. ":" .. n) or 0) end
    sum = sum + tally[n]
  end
  local below = 0
  for n = 0, MOST do
    if below < sum * 0.50 then p50 = n end
    if below < sum * 0.99 then p99 = n end
    below = below + tally[n]
  end
  return string.format('%s: {"count": %d, "p50": %d, "p99": %d}', quoted(name), sum, 1.02 ^ p50, 1.02 ^ p99)
end

function done(summary, latency)
  local flows, failed, failure = {}, 0, ""
  for _, flow in ipairs(plan.flows) do table.insert(flows, told_of(flow.name)) end
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("failures")
    if failure == "" then failure = thread:get("first_failure") end
  end
  local broken = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  print(string.format(
    '\n{"requests": %d, "seconds": %f, "p50": %d, "p99": %d, "broken": %d, "failed": %d, "failure": %s, "flows": {%s}}',
    summary.requests, summary.duration / 1000000, latency:percentile(50), latency:percentile(99), broken,
    failed + summary.errors.status, quoted(failure), table.concat(flows, ", ")))
end
