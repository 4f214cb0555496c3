<?php

declare(strict_types=1);

require_once __DIR__ . '/SessionStoreChannel.php';
require_once __DIR__ . '/SessionStoreLayout.php';
require_once __DIR__ . '/SessionStoreNotes.php';
require_once __DIR__ . '/SessionStoreHeaders.php';

/**
 * Keeps $_SESSION in the session that httpd has for the visitor. Locks, times, ids and the cookie are
 * httpd's; what PHP calls the id is a name of its own that opens nothing.
 */
final class SessionStoreHandler implements
    SessionHandlerInterface,
    SessionIdInterface,
    SessionUpdateTimestampHandlerInterface
{
    /** How PHP has to be set up: one cookie, which is not PHP's, and nobody but httpd removes sessions. */
    public const SETTINGS = [
        'session.use_cookies' => '0',
        'session.use_only_cookies' => '1',
        'session.use_trans_sid' => '0',
        'session.use_strict_mode' => '1',
        'session.serialize_handler' => 'php_serialize',
        'session.gc_probability' => '0',
        // It would be PHP's own session, before prepend.php; a script cannot turn it off.
        'session.auto_start' => '0',
        // Caches are kept away by httpd, from answers that need it.
        'session.cache_limiter' => '',
    ];

    /** What was read last; null before open. */
    private ?SessionStoreLayout $layout = null;
    private string $id = '';
    /** @var array<string, string> values that are in the session, by key in lower case */
    private array $there = [];
    /** @var array<string, true> names with _ that PHP has not set itself, in lower case: see the layout's */
    private array $foreign = [];
    /** @var list<string> what httpd was told to do besides */
    private array $words = [];
    /** The script has destroyed the session. */
    private bool $destroyed = false;
    private bool $finishing = false;

    public function __construct(private SessionStoreChannel $channel)
    {
    }

    public function open(string $path, string $name): bool
    {
        if (!$this->channel->isOffered()) {
            return $this->fail('opening the session', 'httpd offers none here: SessionEngine on, and behind FastCGI SessionExport env *, are needed');
        }
        if (ini_get('session.serialize_handler') !== 'php_serialize') {
            return $this->fail('opening the session', 'session.serialize_handler has to be php_serialize');
        }
        $this->settle();
        $this->tell(array_diff($this->words, ['unlock']));
        $this->layout = SessionStoreLayout::read($this->channel, $why);
        if ($this->layout === null) {
            return $this->fail('reading the session', (string) $why);
        }
        if ($why !== null) {
            // No warning: an application that makes exceptions of those could not open the session either.
            error_log("reading the session: $why; entries without a key of their own are lost, the others are kept");
        }
        $this->there = $this->layout->seen;
        $this->foreign = $this->layout->foreign;
        return true;
    }

    public function create_sid(): string
    {
        $known = $this->layout?->id ?? '';
        if (self::isRenewal()) {
            $this->tell([...array_diff($this->words, ['regenerate']), 'regenerate']);
            $known = '';
        }
        $this->id = $known === '' || $this->destroyed ? bin2hex(random_bytes(16)) : $known;
        return $this->id;
    }

    public function validateId(string $id): bool
    {
        $known = $this->layout?->id ?? '';
        return $known !== '' && !$this->destroyed && hash_equals($known, $id);
    }

    public function read(string $id): string|false
    {
        $this->id = $id;
        return $this->destroyed || $this->layout === null ? '' : $this->layout->encoded();
    }

    public function write(string $id, string $data): bool
    {
        return $this->store();
    }

    public function updateTimestamp(string $id, string $data): bool
    {
        // The visit is httpd's to record; an id that was made for this session is new to it.
        return $this->store();
    }

    public function destroy(string $id): bool
    {
        // With a new id the old record is gone, or a way to the new one for a moment, as httpd has it.
        if (!self::isRenewal()) {
            $this->destroyed = true;
            $this->tell(['invalidate']);
        }
        return true;
    }

    public function close(): bool
    {
        // At the end of the script the session is let go anyway, as soon as it is stored.
        if (!$this->finishing && !self::isRenewal() && !$this->channel->isNew()) {
            $this->tell([...array_diff($this->words, ['unlock']), 'unlock']);
        }
        return true;
    }

    public function gc(int $max_lifetime): int|false
    {
        return 0;
    }

    /** Called with output that is about to leave: what is in $_SESSION by then can still get a cookie. */
    public function beforeOutput(string $output, int $phase): string
    {
        if (session_status() === PHP_SESSION_ACTIVE && !headers_sent()) {
            $this->store();
        }
        return $output;
    }

    /** The script has ended. */
    public function finish(): void
    {
        $this->finishing = true;
        if (session_status() === PHP_SESSION_ACTIVE) {
            session_write_close();
        }
    }

    /** Brings the session to what $_SESSION says. Only what differs is told. */
    private function store(): bool
    {
        $this->settle();
        $session = isset($_SESSION) && is_array($_SESSION) ? $_SESSION : [];
        $values = SessionStoreLayout::of($session, $this->id, $this->there, $this->foreign);
        if ($this->destroyed && $values === []) {
            return true;
        }
        $there = [];
        $changes = [];
        foreach ($values as $key => $value) {
            $key = (string) $key;
            $there[strtolower($key)] = $value;
            if (($this->there[strtolower($key)] ?? null) !== $value) {
                $changes[$key] = $value;
            }
        }
        foreach (array_diff_key($this->there, $there) as $key => $_) {
            $changes[(string) $key] = null;
        }
        $problem = $this->channel->put($changes, $this->foreign);
        if ($problem !== null) {
            return $this->fail('storing the session', $problem);
        }
        $this->foreign = array_diff_key($this->foreign, array_change_key_case($changes));
        $this->there = $there;
        if ($this->destroyed) {
            // Another one begins before the end of the old one was told: all of it was replaced.
            $this->destroyed = false;
            $this->channel->logOut();
            $this->tell(['regenerate']);
        }
        return true;
    }

    /** @param array<int, string> $words */
    private function tell(array $words): void
    {
        $words = array_values($words);
        if ($words !== $this->words) {
            $this->words = $words;
            $this->channel->tell($words);
        }
    }

    /** Takes note of what httpd has done meanwhile. */
    private function settle(): void
    {
        if ($this->words === [] || !$this->channel->isDone()) {
            return;
        }
        if ($this->destroyed) {
            [$this->destroyed, $this->there] = [false, []];
        }
        $this->words = [];
    }

    private static function isRenewal(): bool
    {
        foreach (debug_backtrace(DEBUG_BACKTRACE_IGNORE_ARGS, 4) as $frame) {
            if ($frame['function'] === 'session_regenerate_id' && !isset($frame['class'])) {
                return true;
            }
        }
        return false;
    }

    private function fail(string $doing, string $why): bool
    {
        trigger_error("$doing: $why", E_USER_WARNING);
        return false;
    }
}
