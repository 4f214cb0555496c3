<?php

declare(strict_types=1);

/**
 * The session as environment variables (SessionExport env *) and headers of the answer
 * (SessionBackendHeaders all): PHP behind FastCGI.
 */
final class SessionStoreHeaders implements SessionStoreChannel
{
    /** Most bytes that SessionExport gives: names and values, encoded. */
    private const SHOWN_MAX = 32 << 10;
    /** Left for what is told beside values. */
    private const FACTS = 1 << 10;
    /** Most headers of one answer. */
    private const ORDERS_MAX = 256;
    /** Most _ in a name that may stand for others; there are three spellings of each. */
    private const DOUBTS_MAX = 3;

    /** @var array<string, string> values by key in lower case: what was shown, and what was changed since */
    private array $values = [];
    /** @var array<string, array{string, ?string}> what differs from what was shown, by key in lower case: the
     *  key and its value, null for a removal */
    private array $changes = [];
    /** @var list<string> */
    private array $words = [];
    private ?string $new;
    private bool $logsOut = false;
    private bool $sent = false;

    /** @param array<string, mixed> $server what $_SERVER says */
    public function __construct(array $server)
    {
        $this->new = isset($server['SESSION_NEW']) ? (string) $server['SESSION_NEW'] : null;
        foreach ($server as $name => $value) {
            if (is_string($name) && is_string($value) && str_starts_with($name, 'SESSION_VALUE_')) {
                $this->values[strtolower(substr($name, strlen('SESSION_VALUE_')))] = rawurldecode($value);
            }
        }
    }

    public function isOffered(): bool
    {
        return $this->new !== null;
    }

    public function isNew(): bool
    {
        return $this->new !== '0';
    }

    public function names(): array
    {
        return array_map('strval', array_keys($this->values));
    }

    public function get(string $key): ?string
    {
        return $this->values[self::variable($key)] ?? null;
    }

    public function isComplete(): bool
    {
        $room = self::SHOWN_MAX - self::FACTS - SessionStoreLayout::VALUE_MAX - SessionStoreLayout::NAME_MAX;
        return self::size($this->values) <= $room;
    }

    public function put(array $changes, array $doubtful): ?string
    {
        if ($changes === []) {
            return null;
        }
        if (headers_sent()) {
            return 'the head of the answer has left; nothing can be changed behind it';
        }
        [$values, $merged] = [$this->values, $this->changes];
        foreach ($changes as $key => $value) {
            $key = (string) $key;
            if (isset($doubtful[strtolower($key)])) {
                if (substr_count($key, '_') > self::DOUBTS_MAX) {
                    // Which one is not said: no key goes into a log.
                    return 'a changed key may have - or . where its variable has _, and there are too many of them to '
                        . 'try; change it by a handler that is shown its name';
                }
                // Two keys that look the same: the next request would be shown the older one.
                foreach (self::spellings(strtolower($key)) as $other) {
                    $merged[$other] = [$other, null];
                }
            }
            $merged[strtolower($key)] = [$key, $value];
            if ($value === null) {
                unset($values[self::variable($key)]);
            } else {
                $values[self::variable($key)] = $value;
            }
        }
        if (self::size($values) > self::SHOWN_MAX - self::FACTS) {
            return 'it is larger than what the next request can be shown, 31 KiB';
        }
        if (count($merged) > self::ORDERS_MAX - 2) {
            return 'it has more changes than an answer can bring, ' . (self::ORDERS_MAX - 2);
        }
        [$this->values, $this->changes] = [$values, $merged];
        $this->send();
        return null;
    }

    public function logOut(): void
    {
        $this->logsOut = true;
        $this->send();
    }

    public function tell(array $words): void
    {
        // Who answers from elsewhere holds the session until the head is there: nothing to unlock.
        $this->words = array_values(array_diff($words, ['unlock']));
        $this->send();
    }

    public function isDone(): bool
    {
        return false;
    }

    /** Writes all headers anew: a script may open and close its session several times. */
    private function send(): void
    {
        if (headers_sent()) {
            return;
        }
        if ($this->sent) {
            foreach (['Set', 'Unset', 'User', 'Do'] as $name) {
                header_remove("X-Session-$name");
            }
        }
        $this->sent = true;
        foreach ($this->changes as [$key, $value]) {
            $key = SessionStoreLayout::encode($key);
            $value === null
                ? header("X-Session-Unset: $key", false)
                : header("X-Session-Set: $key=" . SessionStoreLayout::encode($value), false);
        }
        if ($this->logsOut) {
            header('X-Session-User:', false);
        }
        foreach ($this->words as $word) {
            // There is nothing yet that could get another id.
            if ($word !== 'regenerate' || !$this->isNew()) {
                header("X-Session-Do: $word", false);
            }
        }
    }

    /**
     * The other keys that have the same variable.
     *
     * @return list<string>
     */
    private static function spellings(string $name): array
    {
        $found = [''];
        foreach (str_split($name) as $letter) {
            $longer = [];
            foreach ($found as $begun) {
                foreach ($letter === '_' ? ['_', '-', '.'] : [$letter] as $next) {
                    $longer[] = $begun . $next;
                }
            }
            $found = $longer;
        }
        return array_slice($found, 1);
    }

    /** @param array<string, string> $values */
    private static function size(array $values): int
    {
        $bytes = 0;
        foreach ($values as $key => $value) {
            $bytes += strlen("SESSION_VALUE_$key") + strlen(SessionStoreLayout::encode($value));
        }
        return $bytes;
    }

    /** A key as the environment spells it, in lower case. */
    private static function variable(string $key): string
    {
        return strtr(strtolower($key), '-.', '__');
    }
}
