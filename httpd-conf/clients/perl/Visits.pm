# Counts visits, in mod_perl by request notes:
#
#     PerlRequire "/usr/local/lib/session_store/perl/Visits.pm"
#     <Location "/visits">
#         SetHandler modperl
#         PerlResponseHandler Visits
#     </Location>
package Visits;
use strict;
use warnings;
use Apache2::RequestRec ();
use Apache2::RequestIO ();
use APR::Table ();
use Apache2::Const -compile => 'OK';

sub handler {
    my $r = shift;
    my $notes = $r->notes;
    my $n = 1 + ($notes->get('session:visits') // 0);
    $notes->set('session:visits', $n);
    # A note that is taken away is a key removed; words to be done go here.
    if (($r->args // '') eq 'forget') {
        $notes->unset('session:visits');
        $notes->set('session-store.do', 'regenerate');
    }
    $r->content_type('text/plain; charset=utf-8');
    my $who = $notes->get('session-store.user') // 'stranger';
    $r->print("visit $n of $who\n");
    return Apache2::Const::OK;
}

1;
