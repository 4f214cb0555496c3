<?php

declare(strict_types=1);

/**
 * $_SESSION as keys and values of the session.
 *
 * An entry has a key of its own, which other handlers can read and write, if its name is made of letters,
 * digits and _, and its value is a string, an integer, or something else that JSON can say. All others
 * share the key `php` as serialize() writes them, with what PHP has to remember of the first: how their
 * names are spelled and which were integers. What does not fit into one value goes on in `php.1`, `php.2`.
 */
final class SessionStoreLayout
{
    /** Longest value of a key, encoded: what SessionExport shows. */
    public const VALUE_MAX = 4 << 10;
    /** Longest name of a variable. */
    public const NAME_MAX = 160;
    /** In front of a value that is not a plain string. */
    public const JSON = 'json:';

    private const PIECE = 4000;
    /** Most pieces that are looked for where their number is not to be trusted. */
    private const PIECES_MAX = 1000;
    private const TOO_LARGE = 'it holds more than can be shown to a script behind FastCGI, 32 KiB; let another handler '
        . 'remove keys, or answer with X-Session-Unset and their names, X-Session-Unset: php for what PHP alone can '
        . 'read, or X-Session-Do: invalidate to end it';
    private const OWN = '/^[A-Za-z0-9_]{1,128}$/D';
    private const RESERVED = '/^php(_[0-9]+)?$/i';
    private const FLAGS = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_PRESERVE_ZERO_FRACTION;

    /** The name by which PHP knows the session; '' if it has none yet. It is not the cookie's id. */
    public string $id = '';
    /** @var array<string, string> the type of each entry with a key of its own, s or i, by name */
    private array $own = [];
    /** The other entries, serialized. */
    private string $rest = 'a:0:{}';
    /** @var array<string, string> the values that were read, by key in lower case */
    public array $seen = [];
    /**
     * Names with _ that PHP has not set itself, in lower case: behind FastCGI a key may have - or . there.
     *
     * @var array<string, true>
     */
    public array $foreign = [];

    /**
     * What the session holds now, or null if it is not known, with the reason in $why. With $why set, what shares
     * the key php was not read: it is to be overwritten.
     */
    public static function read(SessionStoreChannel $channel, ?string &$why): ?self
    {
        $why = null;
        $layout = new self();
        $head = $channel->get('php');
        $isRead = $head !== null && $layout->readShared($channel, $head);
        if (!$isRead && !$channel->isComplete()) {
            // The key php may be what was left out: it would be written over.
            $why = self::TOO_LARGE;
            return null;
        }
        if (!$isRead && $head !== null) {
            // It would be so at every visit: a session that cannot be opened cannot be destroyed either.
            $why = 'what PHP has stored under the key php was changed by somebody else, or a part of it is missing';
            $layout = new self();
            $layout->seen = self::remains($channel, $head);
        }
        foreach (array_merge(array_keys($layout->own), $channel->names()) as $name) {
            $name = (string) $name;
            $value = self::isOwn($name) ? $channel->get($name) : null;
            if ($value !== null) {
                $layout->seen[strtolower($name)] = $value;
            } elseif (isset($layout->own[$name]) && !$channel->isComplete()) {
                $why = self::TOO_LARGE;
                return null;
            }
        }
        $known = array_diff_key(array_change_key_case($layout->own), $layout->foreign);
        foreach (array_keys(array_diff_key($layout->seen, $known)) as $key) {
            if (self::isOwn((string) $key) && str_contains((string) $key, '_')) {
                $layout->foreign[$key] = true;
            }
        }
        return $layout;
    }

    /** $_SESSION as session_encode() would write it, with the session's handler php_serialize. */
    public function encoded(): string
    {
        $spelled = [];
        foreach (array_keys($this->own) as $name) {
            $spelled[strtolower((string) $name)] = (string) $name;
        }
        [$count, $entries] = [0, ''];
        foreach ($this->seen as $key => $value) {
            $key = (string) $key;
            if (!self::isOwn($key)) {
                continue;
            }
            $name = $spelled[$key] ?? $key;
            $entries .= serialize($name) . serialize(self::decoded($value, $this->own[$name] ?? 's'));
            $count++;
        }
        // The shared entries come first: references among them count from the beginning.
        [$shared, $inner] = explode(':{', substr($this->rest, 2, -1), 2);
        return 'a:' . ((int) $shared + $count) . ':{' . $inner . $entries . '}';
    }

    /**
     * The keys and values that stand for $session. An entry that is what $there says keeps its text: others
     * may have written it in their way.
     *
     * @param array<array-key, mixed> $session
     * @param array<string, string> $there values by key in lower case
     * @param array<string, true> $foreign as the layout's
     * @return array<string, string>
     */
    public static function of(array $session, string $id, array $there, array $foreign): array
    {
        [$values, $own, $rest, $taken, $still] = [[], [], [], [], []];
        foreach ($session as $name => $value) {
            $text = is_string($name) && self::isOwn($name) ? self::text($value, $there[strtolower($name)] ?? null) : null;
            if ($text === null || isset($taken[strtolower($name)])) {
                $rest[$name] = $value;
                continue;
            }
            $key = strtolower($name);
            $taken[$key] = true;
            if (isset($foreign[$key]) && ($there[$key] ?? null) === $text) {
                $still[$key] = true;
            }
            $values[$name] = $text;
            $own[$name] = is_int($value) ? 'i' : 's';
        }
        if ($session === []) {
            return [];
        }
        $index = ['id' => $id, 'own' => (object) $own] + ($still === [] ? [] : ['foreign' => (object) $still]);
        $shared = json_encode($index) . "\n" . serialize($rest);
        $pieces = str_split(base64_encode($shared), self::PIECE);
        foreach ($pieces as $at => $piece) {
            $values[$at === 0 ? 'php' : "php.$at"] = $piece;
        }
        $values['php'] = sprintf('1.%d.%08x.%s', count($pieces), crc32($shared), $values['php']);
        return $values;
    }

    /** A text as it travels in headers: what is not printable ASCII, % and , as %XX. */
    public static function encode(string $text): string
    {
        return preg_replace_callback('/[^\x20-\x7e]|[%,]|^ | \z/', static fn($m) => rawurlencode($m[0]), $text);
    }

    /**
     * What is there of a shared key that cannot be read.
     *
     * @return array<string, string> values by key
     */
    private static function remains(SessionStoreChannel $channel, string $head): array
    {
        $pieces = preg_match('/^1\.([0-9]{1,5})\./', $head, $part) ? min((int) $part[1], self::PIECES_MAX) : 1;
        $found = ['php' => $head];
        for ($at = 1; $at < $pieces; $at++) {
            $piece = $channel->get("php.$at");
            if ($piece !== null) {
                $found["php.$at"] = $piece;
            }
        }
        return $found;
    }

    private function readShared(SessionStoreChannel $channel, string $head): bool
    {
        if (!preg_match('/^1\.([1-9][0-9]{0,4})\.([0-9a-f]{8})\.(.*)$/D', $head, $part)) {
            return false;
        }
        $this->seen['php'] = $head;
        $text = $part[3];
        for ($at = 1; $at < (int) $part[1]; $at++) {
            $piece = $channel->get("php.$at");
            if ($piece === null) {
                return false;
            }
            $this->seen["php.$at"] = $piece;
            $text .= $piece;
        }
        $shared = base64_decode($text, true);
        if ($shared === false || sprintf('%08x', crc32($shared)) !== $part[2]) {
            return false;
        }
        [$index, $this->rest] = explode("\n", $shared, 2);
        $index = json_decode($index, true);
        [$this->id, $this->own, $this->foreign] = [(string) $index['id'], $index['own'], $index['foreign'] ?? []];
        return true;
    }

    private static function isOwn(string $name): bool
    {
        return preg_match(self::OWN, $name) === 1 && preg_match(self::RESERVED, $name) === 0;
    }

    /** A value as others can read it; null if it has to be serialized. */
    private static function text(mixed $value, ?string $before): ?string
    {
        if ($before !== null && self::decoded($before, is_int($value) ? 'i' : 's') === $value) {
            return $before;
        }
        if (is_int($value)) {
            return (string) $value;
        }
        $plain = is_string($value) && !str_contains($value, "\0") && !str_starts_with($value, self::JSON);
        $text = $plain ? $value : self::json($value);
        return $text !== null && strlen(self::encode($text)) <= self::VALUE_MAX ? $text : null;
    }

    /** A value as JSON, if it comes back as it was. */
    private static function json(mixed $value): ?string
    {
        if (is_object($value)) {
            return null;
        }
        $json = json_encode($value, self::FLAGS);
        return $json !== false && json_decode($json, true) === $value ? self::JSON . $json : null;
    }

    private static function decoded(string $text, string $type): mixed
    {
        if ($type === 'i' && (string) (int) $text === $text) {
            return (int) $text;
        }
        if (!str_starts_with($text, self::JSON)) {
            return $text;
        }
        $value = json_decode(substr($text, strlen(self::JSON)), true);
        return json_last_error() === JSON_ERROR_NONE ? $value : $text;
    }
}
