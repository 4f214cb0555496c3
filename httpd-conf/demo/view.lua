-- The pages of the demo as text. Whatever comes from outside goes through `fill`, which escapes it.

local view = {}

-- Puts values into a template: {name} escaped, {{name}} as it is, for parts that were made here.
local function fill(r, template, values)
    return (template:gsub("{({?)([%w_]+)}?}", function(raw, name)
        local text = tostring(values[name] or "")
        return raw == "{" and text or r:escape_html(text)
    end))
end

local FRAME = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
<p class="mark">mod_session_store</p>
<nav aria-label="Pages">
<a href="/" aria-current="page">Shop <small>Lua</small></a>
<a href="/checkout">Checkout <small>PHP</small></a>
<a href="/club">Club <small>Python server</small></a>
<a href="/receipt">Receipt <small>CGI in Perl</small></a>
</nav>
<h1>{title}</h1>
{{lead}}
</header>
<main>
{{main}}
</main>
<footer>
<p>Everything you see of yourself is in one server-side session; your browser holds its id in a
cookie and nothing else. There is no script on this page.</p>
</footer>
</body>
</html>
]]

local FORM = [[
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
{{fields}}<button{{kind}}>{label}</button>
</form>
]]

local GOOD = [[
<li>
<span><strong>{name}</strong> <small>{note}</small></span>
<span class="price">{price}</span>
{{form}}</li>
]]

local ROW = "<tr><td>{name}</td><td>{count}</td><td>{price}</td></tr>\n"

local CART = [[
<table>
<caption>Your cart</caption>
<thead><tr><th scope="col">Item</th><th scope="col">Pieces</th><th scope="col">Price</th></tr></thead>
<tbody>
{{rows}}</tbody>
<tfoot><tr><th scope="row" colspan="2">Sum</th><td>{sum}</td></tr></tfoot>
</table>
{{clear}}]]

local HOME = [[
{{message}}<section aria-labelledby="who">
<h2 id="who">Who you are</h2>
{{who}}</section>
<section aria-labelledby="shop">
<h2 id="shop">Shop</h2>
<ul class="goods">
{{goods}}</ul>
{{cart}}</section>
<section aria-labelledby="facts">
<h2 id="facts">Your session</h2>
<dl>
{{facts}}</dl>
<div class="row">
{{actions}}</div>
</section>
]]

local NAME_FIELD = [[
<label for="name">Your name</label>
<input id="name" name="name" autocomplete="username" required maxlength="40">
]]

local REASONS = {
    none = "you came without one",
    unknown = "the one you sent is not known here",
    expired = "the one you had has expired",
    malformed = "what you sent was no id",
    corrupt = "the one you had could not be read",
    badsig = "the id you sent was not signed here",
}

local function price(cents) return ("%d.%02d €"):format(cents // 100, cents % 100) end

-- A form with one button.
local function form(r, model, action, label, more)
    more = more or {}
    return fill(r, FORM, {
        action = action,
        token = model.token,
        fields = more.fields,
        kind = more.quiet and ' class="quiet"' or "",
        label = label,
    })
end

local function who(r, model)
    local user = model.facts.user
    if not user then
        return "<p>You are not logged in. Any name will do.</p>\n"
            .. form(r, model, "/log-in", "Log in", { fields = NAME_FIELD })
    end
    return fill(r, "<p>You are logged in as <strong>{user}</strong>.</p>\n", { user = user })
        .. form(r, model, "/log-out", "Log out", { quiet = true })
end

local function goods(r, model)
    local items = {}
    for _, good in ipairs(model.goods) do
        local fields = '<input type="hidden" name="good" value="{id}">\n'
        local button = form(r, model, "/cart/add", "Add " .. good.name:lower(),
            { fields = fill(r, fields, good) })
        items[#items + 1] = fill(r, GOOD,
            { name = good.name, note = good.note, price = price(good.cents), form = button })
    end
    return table.concat(items)
end

local function cart(r, model)
    local rows, sum = {}, 0
    for _, good in ipairs(model.goods) do
        local count = model.cart[good.id] or 0
        if count > 0 then
            sum = sum + count * good.cents
            rows[#rows + 1] = fill(r, ROW,
                { name = good.name, count = count, price = price(count * good.cents) })
        end
    end
    if #rows == 0 then return '<p class="empty">Your cart is empty.</p>\n' end
    return fill(r, CART, {
        rows = table.concat(rows),
        sum = price(sum),
        clear = form(r, model, "/cart/clear", "Clear the cart", { quiet = true }),
    })
end

local function moment(seconds)
    local at = math.tointeger(tonumber(seconds))
    return at and os.date("!%Y-%m-%d %H:%M:%S UTC", at) or "–"
end

local function facts(r, model)
    local known = model.facts
    local new = known.new == "1"
    local rows = {
        { "Session", new and "new: " .. (REASONS[known.reason] or "–") or "found" },
        { "Made", new and "–" or moment(known.created) },
        { "Visit before this one", new and "–" or moment(known.accessed) },
        { "Ends when idle for", known.timeout and known.timeout .. " s" or "–" },
        { "User", known.user or "nobody" },
        -- The id is a key to the session: a page shows no more of it than tells two apart.
        { "Id", known.id and known.id:sub(1, 6) .. "…" or "–" },
    }
    for i, row in ipairs(rows) do
        rows[i] = fill(r, "<div><dt>{term}</dt><dd>{text}</dd></div>\n",
            { term = row[1], text = row[2] })
    end
    return table.concat(rows)
end

local function message(r, model)
    if not model.facts.new then
        return '<p class="message bad" role="alert">There is no session here: '
            .. "mod_session_store is not loaded, or SessionEngine is off.</p>\n"
    end
    if not model.message then return "" end
    return fill(r, '<p class="message" role="status">{text}</p>\n', { text = model.message })
end

-- The page, of what the handler knows: goods, cart, facts, message, token, visits.
function view.page(r, model)
    local lead = model.visits == 1 and "This is your <b>first</b> visit."
        or fill(r, "This is your visit number <b>{visits}</b>.", model)
    return fill(r, FRAME, {
        title = "Tea and things",
        lead = '<p class="lead">' .. lead .. "</p>",
        main = fill(r, HOME, {
            message = message(r, model),
            who = who(r, model),
            goods = goods(r, model),
            cart = cart(r, model),
            facts = facts(r, model),
            actions = form(r, model, "/session/regenerate", "Give it a new id", { quiet = true })
                .. form(r, model, "/session/invalidate", "End this session", { quiet = true }),
        }),
    })
end

-- An answer that says no.
function view.refusal(r, title, text)
    local main = '<p class="message bad" role="alert">{text} <a href="/">Back to the shop</a></p>\n'
    return fill(r, FRAME, { title = title, main = fill(r, main, { text = text }) })
end

return view
