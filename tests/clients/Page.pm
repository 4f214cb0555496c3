# As page.lua does.
package Page;
use strict;
use warnings;
use Apache2::RequestRec ();
use Apache2::RequestIO ();
use APR::Table ();
use Apache2::Const -compile => 'OK';

sub handler {
    my $r = shift;
    my $notes = $r->notes;
    $r->content_type('text/plain');
    for my $part (split /&/, $r->args // '') {
        my ($op, $text) = map { s/%([0-9A-Fa-f]{2})/chr hex $1/ger } split /=/, $part, 2;
        my $value = $notes->get("session:$text");
        if ($op eq 'get') {
            $r->print(defined $value ? "is $value\n" : "none\n");
        } elsif ($op eq 'set') {
            my ($key, $new) = split /:/, $text, 2;
            $notes->set("session:$key", $new);
        } elsif ($op eq 'unset') {
            $notes->unset("session:$text");
        } elsif ($op eq 'incr') {
            $notes->set("session:$text", ($value // 0) + 1);
        } elsif ($op eq 'do') {
            $notes->set('session-store.do', $text);
        }
    }
    return Apache2::Const::OK;
}

1;
