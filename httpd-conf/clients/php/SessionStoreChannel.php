<?php

declare(strict_types=1);

/** A way by which PHP sees and changes the session of its request. Keys do not differ by case alone. */
interface SessionStoreChannel
{
    /** Whether httpd gives this script a session at all. */
    public function isOffered(): bool;

    /** Whether this request makes it. */
    public function isNew(): bool;

    /** @return list<string> keys that are known to be there, in lower case; there may be others */
    public function names(): array;

    /** The value of a key; null if there is none. */
    public function get(string $key): ?string;

    /** Whether no value was left out for want of room. */
    public function isComplete(): bool;

    /**
     * Sets values, and removes those that are null.
     *
     * @param array<string, ?string> $changes
     * @param array<string, true> $doubtful by name in lower case: where a channel spells keys in its own way, these
     *        may stand for others
     * @return ?string why nothing was changed; null if all was
     */
    public function put(array $changes, array $doubtful): ?string;

    /** Nobody is logged in any more. */
    public function logOut(): void;

    /**
     * Replaces what is to be done besides: invalidate, regenerate, unlock.
     *
     * @param list<string> $words
     */
    public function tell(array $words): void;

    /** Whether what was told last has been done already. */
    public function isDone(): bool;
}
