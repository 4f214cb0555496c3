-- A small shop whose whole state is the visitor's session, by way of request notes:
--   r.notes["session:KEY"]        a value of the session; nil removes it
--   r.notes["session-store.X"]    a fact about it; `user` may be written, `do` asks for something
-- Nothing here opens, saves or locks a session: that happens around the handler.

local view = require "view"

local GOODS
local MOST_OF_ONE = 99
local LONGEST_NAME = 40

local function value(r, key) return r.notes["session:" .. key] end
local function set(r, key, text) r.notes["session:" .. key] = text end
local function fact(r, name) return r.notes["session-store." .. name] end
local function tell(r, name, text) r.notes["session-store." .. name] = text end

-- What the shop sells, a line for each: the same for its pages in other languages.
local function read_goods(r)
    local goods = {}
    for line in io.lines(r.document_root .. "/../goods.tsv") do
        local id, name, note, cents = line:match("^(%w+)\t([^\t]+)\t([^\t]+)\t(%d+)$")
        if id then
            goods[#goods + 1] = { id = id, name = name, note = note, cents = math.tointeger(tonumber(cents)) }
        end
    end
    return goods
end

-- The cart is one value, as "tea=2&mug=1".
local function read_cart(r)
    local count = {}
    for id, n in (value(r, "cart") or ""):gmatch("(%w+)=(%d+)") do
        count[id] = math.tointeger(tonumber(n))
    end
    return count
end

local function write_cart(r, count)
    local parts = {}
    for _, good in ipairs(GOODS) do
        if (count[good.id] or 0) > 0 then
            parts[#parts + 1] = ("%s=%d"):format(good.id, count[good.id])
        end
    end
    set(r, "cart", #parts > 0 and table.concat(parts, "&") or nil)
end

local function find_good(id)
    for _, good in ipairs(GOODS) do
        if good.id == id then return good end
    end
end

-- What a form must bring along, so that no other site can post in the visitor's name.
local function form_token(r)
    local token = value(r, "form")
    if not token then
        local random = assert(io.open("/dev/urandom", "rb"))
        token = random:read(16):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
        random:close()
        set(r, "form", token)
    end
    return token
end

-- A name as typed: trimmed, one line; nil if it cannot be one.
local function clean_name(text)
    local name = (text or ""):gsub("%c", " "):match("^%s*(.-)%s*$")
    local length = utf8.len(name)
    return length and length > 0 and length <= LONGEST_NAME and name or nil
end

-- What a POST to each path does; the text it returns greets the visitor on the next page.
local actions = {
    ["/log-in"] = function(r, form)
        local name = clean_name(form.name)
        if not name then
            return ("A name has 1 to %d characters."):format(LONGEST_NAME)
        end
        tell(r, "user", name)
        return "Welcome, " .. name .. ". Your session has a new id; what was in it stayed."
    end,
    ["/log-out"] = function(r)
        tell(r, "user", nil)
        return "You are logged out. The cart is still here."
    end,
    ["/cart/add"] = function(r, form)
        local good, count = find_good(form.good), read_cart(r)
        if not good then return "There is no such thing in this shop." end
        count[good.id] = math.min((count[good.id] or 0) + 1, MOST_OF_ONE)
        write_cart(r, count)
        return good.name .. " is in your cart."
    end,
    ["/cart/clear"] = function(r)
        write_cart(r, {})
        return "Your cart is empty."
    end,
    ["/session/regenerate"] = function(r)
        tell(r, "do", "regenerate")
        return "The session has a new id."
    end,
    ["/session/invalidate"] = function(r)
        tell(r, "do", "invalidate")
    end,
}

local function show(r)
    local visits = (math.tointeger(tonumber(value(r, "visits"))) or 0) + 1
    local message = value(r, "message")
    set(r, "visits", ("%d"):format(visits))
    set(r, "message", nil)
    local facts = {}
    for _, name in ipairs { "new", "reason", "created", "accessed", "timeout", "user", "id" } do
        facts[name] = fact(r, name)
    end
    r:puts(view.page(r, {
        goods = GOODS,
        cart = read_cart(r),
        facts = facts,
        message = message,
        token = form_token(r),
        visits = visits,
    }))
    return apache2.OK
end

local function refuse(r, status, title, text)
    r.status = status
    r:puts(view.refusal(r, title, text))
    return apache2.OK
end

local function act(r, action)
    local form = r:parsebody(8192)
    local token = value(r, "form")
    if not token or form.token ~= token then
        return refuse(r, 403, "This form is not from here, or too old",
            "It did not carry the token of your session. Cookies have to be on for this page.")
    end
    set(r, "message", action(r, form))
    r.headers_out["Location"] = "/"
    r.status = 303
    return apache2.OK
end

function handle(r)
    GOODS = GOODS or read_goods(r)
    r.content_type = "text/html; charset=utf-8"
    r.headers_out["Content-Security-Policy"] = "default-src 'none'; style-src 'self'; "
        .. "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    local action = actions[r.uri]
    local reads = r.method == "GET" or r.method == "HEAD"
    if r.uri == "/" and reads then return show(r) end
    if action and r.method == "POST" then return act(r, action) end
    if r.uri ~= "/" and not action then return apache2.DECLINED end
    r.headers_out["Allow"] = action and "POST" or "GET, HEAD"
    return refuse(r, 405, "Not this way", "This address does not take that method.")
end
