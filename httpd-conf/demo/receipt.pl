#!/usr/bin/perl
# The receipt: a CGI script. Values come in the environment, percent-encoded; headers of the answer change them.
use strict;
use warnings;
use FindBin ();

sub decoded { my ($text) = @_; $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge; return $text }

sub escaped {
    my ($text) = @_;
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;', "'" => '&#39;');
    $text =~ s/([&<>"'])/$entity{$1}/g;
    return $text;
}

sub price { return sprintf '%d.%02d €', int($_[0] / 100), $_[0] % 100 }

my %cart = map { /^(\w+)=(\d+)$/ ? ($1, $2) : () } split /&/, decoded($ENV{SESSION_VALUE_CART} // '');
my $token = decoded($ENV{SESSION_VALUE_FORM} // '');
my $user = decoded($ENV{SESSION_USER} // '');

if ($ENV{REQUEST_METHOD} eq 'POST') {
    my $length = $ENV{CONTENT_LENGTH} || 0;
    my $body = '';
    read STDIN, $body, $length < 4096 ? $length : 4096;
    if ($token eq '' || $body !~ /(?:^|&)token=\Q$token\E(?:&|$)/) {
        print "Status: 403\nContent-Type: text/plain\n\nThis form is not from here, or too old.\n";
        exit;
    }
    print "Status: 303\nLocation: /\n";
    print "X-Session-Unset: cart\nX-Session-Set: message=Paid. Your cart is empty again.\n\n";
    exit;
}

my ($rows, $sum) = ('', 0);
open my $goods, '<', "$FindBin::Bin/../goods.tsv" or die "goods.tsv: $!";
while (my $line = <$goods>) {
    chomp $line;
    my ($id, $name, undef, $cents) = split /\t/, $line;
    my $count = $cart{$id} or next;
    $sum += $count * $cents;
    $rows .= '<tr><td>' . escaped($name) . "</td><td>$count</td><td>" . price($count * $cents) . "</td></tr>\n";
}
my $for = $user eq '' ? 'Nobody is logged in.' : 'For <b>' . escaped($user) . '</b>.';
my $paper = $rows eq '' ? qq(<p class="empty">Your cart is empty.</p>\n) : <<"TABLE";
<table>
<thead><tr><th scope="col">Item</th><th scope="col">Pieces</th><th scope="col">Price</th></tr></thead>
<tbody>
$rows</tbody>
<tfoot><tr><th scope="row" colspan="2">Sum</th><td>@{[price($sum)]}</td></tr></tfoot>
</table>
<form method="post" action="/receipt">
<input type="hidden" name="token" value="@{[escaped($token)]}">
<button>Pay, in play money</button>
</form>
TABLE

print <<"PAGE";
Content-Type: text/html; charset=utf-8
Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'

<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Receipt</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
<p class="mark">mod_session_store</p>
<nav aria-label="Pages">
<a href="/">Shop <small>Lua</small></a>
<a href="/checkout">Checkout <small>PHP</small></a>
<a href="/club">Club <small>Python server</small></a>
<a href="/receipt" aria-current="page">Receipt <small>CGI in Perl</small></a>
</nav>
<h1>Receipt</h1>
<p class="lead">$for</p>
</header>
<main>
<section aria-labelledby="receipt">
<h2 id="receipt">What you take</h2>
$paper</section>
</main>
<footer>
<p>This script was started for this page alone. It was told your cart in its environment; with a header of its answer it empties it.</p>
</footer>
</body>
</html>
PAGE
