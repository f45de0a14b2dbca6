-- What wrk sends: the SDK's requests, as visitors of a shop make them.
--
-- Arguments after `--`: path, origin, events per request, file of returning visitors ("uid device cookies" per line,
-- may be empty). Each request comes from one visitor. Of single events every tenth belongs to somebody new (no
-- cookies); of batches every second. The others come from the file, with the cookies that the collector gave them.
-- Every 200th event says who the visitor is. All event ids are fresh UUIDv7. At the end one line of JSON is printed.

local ffi = require("ffi")
ffi.cdef [[
  typedef struct { long seconds; long nanoseconds; } moment;
  int clock_gettime(int clock, moment *now);
]]

local format, random, concat = string.format, math.random, table.concat
local EVENTS_PER_VISIT = 20
local EVENTS_PER_PAGE = 3
local EVENTS_PER_IDENTIFY = 200
local AGENTS = {
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
local PRODUCTS = { "hand-trowel", "watering-can", "enamel-mug", "bread-board", "rolling-pin", "seed-tin" }

local path, origin, per_request, share_of_new
local returning, turn = {}, 0
local requests_made = 0
events_made, events_bytes = 0, 0 -- global, so that `done` can read them
local now_struct = ffi.new("moment[1]")

local function now_ms()
  ffi.C.clock_gettime(0, now_struct)
  return tonumber(now_struct[0].seconds) * 1000 + math.floor(tonumber(now_struct[0].nanoseconds) / 1e6)
end

local function uuid(ms)
  local high = math.floor(ms / 65536)
  return format("%08x-%04x-7%03x-%04x-%04x%08x", high, ms % 65536, random(0, 4095), random(32768, 49151),
    random(0, 65535), random(0, 4294967295))
end

local function new_visitor(ms)
  return { uid = uuid(ms), device = uuid(ms), cookies = nil, seq = 0, agent = AGENTS[random(#AGENTS)] }
end

local function identify(visitor)
  return format('"dims":{"customers":{"customer_id":"c-%s","email":"%s@example.com","name":"Ann Example"}},'
    .. '"extra":{"identify_id":"c-%s","identify_event":"user_identify","identify_type":"exact"}',
    visitor.uid, visitor.uid, visitor.uid)
end

local function page_view(product)
  return format('"title":"%s | Garden and Kitchen","referrer":"%s/catalogue/kitchen?sort=newest&page=2",'
    .. '"extra":{"layout":"wide","theme":"light","test_group":"b","scrolled":0,"returning":true}', product, origin)
end

local function product_view(product)
  return format('"dims":{"sku":"%s","brand":"Field & Hearth","list":"bestsellers"},'
    .. '"items":[{"id":"%s","name":"Made by hand in ash and steel, with a cord","price":1490,"currency":"EUR","quantity":1}]', product, product)
end

local function event(visitor, ms)
  if not visitor.visit or visitor.seq % EVENTS_PER_VISIT == 0 then visitor.visit = uuid(ms) end
  if not visitor.page or visitor.seq % EVENTS_PER_PAGE == 0 then visitor.page = uuid(ms) end
  local product = PRODUCTS[random(#PRODUCTS)]
  local category, action, rest = "product", "view", nil
  if events_made % EVENTS_PER_IDENTIFY == EVENTS_PER_IDENTIFY - 1 then
    category, action, rest = "user", "identify", identify(visitor)
  elseif visitor.seq % EVENTS_PER_PAGE == 0 then
    category, action, rest = "page", "view", page_view(product)
  else
    rest = product_view(product)
  end
  visitor.seq = visitor.seq + 1
  events_made = events_made + 1
  local text = format('{"event_id":"%s","category":"%s","action":"%s","uid":"%s","uid_origin":"first","visit":"%s",'
    .. '"page":"%s","seq":%d,"at":%d,"url":"%s/products/%s?from=catalogue&position=%d",%s}',
    uuid(ms), category, action, visitor.uid, visitor.visit, visitor.page, visitor.seq, ms, origin, product,
    random(1, 60), rest)
  events_bytes = events_bytes + #text
  return text
end

local function choose_visitor(ms)
  if #returning == 0 or requests_made % share_of_new == 0 then return new_visitor(ms) end
  turn = turn % #returning + 1
  return returning[turn]
end

function init(args)
  path, origin, per_request = args[1], args[2], tonumber(args[3])
  share_of_new = per_request == 1 and 10 or 2
  local start = now_ms()
  math.randomseed(start % 2147483647)
  if not args[4] then return end
  for line in io.lines(args[4]) do
    local uid, device, cookies = line:match("^(%S+) (%S+) (.+)$")
    local visitor = new_visitor(start)
    visitor.uid, visitor.device, visitor.cookies, visitor.seq = uid, device, cookies, 1
    returning[#returning + 1] = visitor
  end
end

function request()
  local ms = now_ms()
  local visitor = choose_visitor(ms)
  local events = {}
  for place = 1, per_request do events[place] = event(visitor, ms) end
  local body = format('{"sent_at":%d,"tz":60,"sdk":"0.1.0","device":"%s","events":[%s]}', ms, visitor.device,
    concat(events, ","))
  requests_made = requests_made + 1
  return wrk.format("POST", path, {
    ["Accept"] = "*/*",
    ["Accept-Encoding"] = "gzip, deflate, br",
    ["Accept-Language"] = "en-GB,en;q=0.9",
    ["Content-Type"] = "text/plain;charset=UTF-8",
    ["Cookie"] = visitor.cookies,
    ["Origin"] = origin,
    ["Referer"] = origin .. "/",
    ["User-Agent"] = visitor.agent,
  }, body)
end

-- wrk calls `done` in another Lua state than `request`, so counters are fetched from the one thread.
local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local errors, thread = summary.errors, threads[1]
  io.write(format('RESULT {"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"event_bytes":%.1f,"refused":%d,'
    .. '"broken":%d}\n', summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, thread:get("events_bytes") / thread:get("events_made"), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
