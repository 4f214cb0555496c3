<?php

declare(strict_types=1);

/** The session as httpd's request notes: PHP as a module of httpd. */
final class SessionStoreNotes implements SessionStoreChannel
{
    /** @var list<string> the keys that the environment tells of; notes cannot be listed from PHP */
    private array $names = [];
    /** @var array<string, true> keys to be removed, in lower case: PHP cannot take a note away */
    private array $removed = [];

    /** @param array<string, mixed> $server what $_SERVER says */
    public function __construct(array $server)
    {
        foreach ($server as $name => $value) {
            if (is_string($name) && str_starts_with($name, 'SESSION_VALUE_')) {
                $this->names[] = strtolower(substr($name, strlen('SESSION_VALUE_')));
            }
        }
    }

    public function isOffered(): bool
    {
        return apache_note('session-store.new') !== false;
    }

    public function isNew(): bool
    {
        return apache_note('session-store.new') !== '0';
    }

    public function names(): array
    {
        return $this->names;
    }

    public function get(string $key): ?string
    {
        $value = $this->isRemoved($key) ? false : apache_note("session:$key");
        return $value === false ? null : $value;
    }

    public function isComplete(): bool
    {
        return true;
    }

    public function put(array $changes, array $doubtful): ?string
    {
        $this->forget();
        $before = $this->removed;
        foreach ($changes as $key => $value) {
            $key = (string) $key;
            if ($value === null) {
                $this->removed[strtolower($key)] = true;
            } else {
                unset($this->removed[strtolower($key)]);
                apache_note("session:$key", $value);
            }
        }
        if ($this->removed !== $before) {
            $keys = array_map(SessionStoreLayout::encode(...), array_map('strval', array_keys($this->removed)));
            apache_note('session-store.unset', implode(',', $keys));
        }
        return null;
    }

    public function logOut(): void
    {
        apache_note('session-store.user', '');
    }

    public function tell(array $words): void
    {
        apache_note('session-store.do', implode(' ', $words));
        if ($words !== [] && headers_sent()) {
            // Notes are looked at when output passes; there is nothing more to be said in a head.
            flush();
        }
    }

    public function isDone(): bool
    {
        return apache_note('session-store.do') === false;
    }

    private function isRemoved(string $key): bool
    {
        $this->forget();
        return isset($this->removed[strtolower($key)]);
    }

    /** What httpd has removed meanwhile need not be remembered. */
    private function forget(): void
    {
        if ($this->removed !== [] && apache_note('session-store.unset') === false) {
            $this->removed = [];
        }
    }
}
