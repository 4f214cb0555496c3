<?php
// Says what it is shown and answers as its query wants, as app.py does.
$pairs = array_map(fn($pair) => array_map('rawurldecode', explode('=', $pair, 2) + ['', '']),
                   explode('&', $_SERVER['QUERY_STRING'] ?? ''));
$rest = array_column($pairs, 1, 0);
if (isset($rest['status'])) http_response_code((int) $rest['status']);
header('Content-Type: text/plain');
foreach ($pairs as [$name, $value]) {
    if ($name === 'head') header(preg_replace('/:/', ': ', $value, 1), false);
}
if (isset($rest['incr'])) {
    $next = 1 + (int) ($_SERVER['SESSION_VALUE_' . strtoupper($rest['incr'])] ?? 0);
    header("X-Session-Set: {$rest['incr']}=$next", false);
}
for ($n = 0; $n < (int) ($rest['many'] ?? 0); $n++) header("X-Session-Set: k$n=1", false);
$lines = [];
foreach ($_SERVER as $name => $value) {
    if (is_string($value) && preg_match('/SESSION|COOKIE/i', $name)) $lines[] = "$name=$value\n";
}
sort($lines);
echo implode($lines), "end\n";
if (ob_get_level()) ob_flush();
flush();
while (isset($rest['gate']) && !file_exists($rest['gate'])) {
    usleep(10000);
    clearstatcache();
}
echo str_repeat('x', (int) ($rest['big'] ?? 0));
