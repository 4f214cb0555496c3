-- Counts visits, in mod_lua by request notes:
--
--     <Location "/visits">
--         SetHandler lua-script
--     </Location>

function handle(r)
    local n = (tonumber(r.notes["session:visits"]) or 0) + 1
    r.notes["session:visits"] = ("%d"):format(n)
    -- A note that is taken away is a key removed; words to be done go here.
    if r.args == "forget" then
        r.notes["session:visits"] = nil
        r.notes["session-store.do"] = "regenerate"
    end
    r.content_type = "text/plain; charset=utf-8"
    r:puts("visit ", n, " of ", r.notes["session-store.user"] or "stranger", "\n")
    return apache2.OK
end
