<?php
// Counts visits, in mod_php by request notes. With prepend.php, $_SESSION does the same.

$n = 1 + (int) apache_note('session:visits');
apache_note('session:visits', (string) $n);
// PHP cannot take a note away: keys to be removed are named, separated by commas.
if (($_SERVER['QUERY_STRING'] ?? '') === 'forget') {
    apache_note('session-store.unset', 'visits');
    apache_note('session-store.do', 'regenerate');
}
header('Content-Type: text/plain; charset=utf-8');
$who = apache_note('session-store.user') ?: 'stranger';
echo "visit $n of $who\n";
