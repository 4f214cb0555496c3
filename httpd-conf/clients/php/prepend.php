<?php
/**
 * Runs before every script (auto_prepend_file): from here on $_SESSION is the visitor's session of
 * mod_session_store. See ../README.md.
 */

declare(strict_types=1);

require_once __DIR__ . '/SessionStoreHandler.php';

(static function (): void {
    if (session_status() === PHP_SESSION_ACTIVE) {
        error_log('beginning httpd\'s session: PHP has begun one of its own, which is left and its cookie taken '
            . 'back; set session.auto_start to 0 as in mod_php.conf or php-fpm.conf');
        session_abort();
        header_remove('Set-Cookie');
        $_SESSION = [];
    }
    // What the configuration should say already; a script that set it otherwise would get two sessions.
    foreach (SessionStoreHandler::SETTINGS as $name => $value) {
        ini_set($name, $value);
    }
    $channel = function_exists('apache_note') ? new SessionStoreNotes($_SERVER) : new SessionStoreHeaders($_SERVER);
    $handler = new SessionStoreHandler($channel);
    session_set_save_handler($handler, false);
    // The answer waits until the session is written: its head has the cookie, or the orders, in it.
    ob_start([$handler, 'beforeOutput']);
    // Registered when the others run, so the last of all: they may still change $_SESSION.
    register_shutdown_function(static fn() => register_shutdown_function([$handler, 'finish']));
})();
