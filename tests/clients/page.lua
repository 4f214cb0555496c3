-- Does with notes what its query says, as the other pages beside this file do:
--   get=KEY  set=KEY:VALUE  unset=KEY  incr=KEY  do=WORD
function handle(r)
    r.content_type = "text/plain"
    for op, text in (r.args or ""):gmatch("(%w+)=([^&]*)") do
        text = r:unescape(text)
        local note = "session:" .. text
        if op == "get" then
            local value = r.notes[note]
            r:puts(value and "is " .. value or "none", "\n")
        elseif op == "set" then
            local key, value = text:match("([^:]*):(.*)")
            r.notes["session:" .. key] = value
        elseif op == "unset" then
            r.notes[note] = nil
        elseif op == "incr" then
            r.notes[note] = ("%d"):format((tonumber(r.notes[note]) or 0) + 1)
        elseif op == "do" then
            r.notes["session-store.do"] = text
        end
    end
    return apache2.OK
end
