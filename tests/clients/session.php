<?php
// An application that knows of PHP's own sessions alone: as page.lua does, and
//   put=KEY:CODE  gets KEY the value of an expression     show=KEY  prints it with its type
//   head=NAME:VALUE  close  start  abort  destroy  clear  flush  echo=N  sid  wait=FILE
class Point
{
    private int $x = 1;
    public ?Point $next = null;
}

session_start();
header('Content-Type: text/plain');
foreach (array_filter(explode('&', $_SERVER['QUERY_STRING'])) as $part) {
    [$op, $text] = array_map('rawurldecode', explode('=', $part, 2) + ['', '']);
    [$key, $value] = explode(':', $text, 2) + ['', ''];
    match ($op) {
        'get' => print isset($_SESSION[$text]) ? "is $_SESSION[$text]\n" : "none\n",
        'set' => $_SESSION[$key] = $value,
        'put' => $_SESSION[$key] = eval("return $value;"),
        'show' => print var_export($_SESSION[$text] ?? null, true) . "\n",
        'unset' => (function () use ($text) { unset($_SESSION[$text]); })(),
        'incr' => $_SESSION[$text] = 1 + ($_SESSION[$text] ?? 0),
        'do' => match ($text) {
            'regenerate' => session_regenerate_id(true),
            default => session_destroy(),
        },
        'head' => header($text, false),
        'close' => session_write_close(),
        'start' => session_start(),
        'abort' => session_abort(),
        'destroy' => session_destroy(),
        'clear' => session_unset(),
        'flush' => (function () {
            while (ob_get_level()) {
                ob_end_flush();
            }
            flush();
        })(),
        'echo' => print str_repeat('x', (int) $text),
        'sid' => print session_id() . "\n",
        'wait' => (function () use ($text) {
            while (!file_exists($text)) {
                usleep(10000);
                clearstatcache();
            }
        })(),
    };
}
