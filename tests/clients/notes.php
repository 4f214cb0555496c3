<?php
// As page.lua does, with apache_note.
header('Content-Type: text/plain');
foreach (array_filter(explode('&', $_SERVER['QUERY_STRING'])) as $part) {
    [$op, $text] = array_map('rawurldecode', explode('=', $part, 2));
    $value = apache_note("session:$text");
    if ($op === 'get') {
        echo $value === false ? "none\n" : "is $value\n";
    } elseif ($op === 'set') {
        [$key, $value] = explode(':', $text, 2);
        apache_note("session:$key", $value);
    } elseif ($op === 'unset') {
        apache_note('session-store.unset', $text);
    } elseif ($op === 'incr') {
        apache_note("session:$text", (string) (1 + (int) $value));
    } elseif ($op === 'do') {
        apache_note('session-store.do', $text);
    }
}
