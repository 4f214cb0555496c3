<?php
// The checkout: PHP as it always was. $_SESSION is the session that the other pages have.

declare(strict_types=1);

const DAYS = ['any day', 'Monday', 'Wednesday', 'Friday'];

session_start();
header('Content-Type: text/html; charset=utf-8');
header("Content-Security-Policy: default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");

function text(mixed $value): string
{
    return htmlspecialchars((string) $value, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

function price(int $cents): string
{
    return sprintf('%d.%02d €', intdiv($cents, 100), $cents % 100);
}

/** @return array<string, array{name: string, cents: int}> */
function goods(): array
{
    $goods = [];
    foreach (file(__DIR__ . '/../goods.tsv', FILE_IGNORE_NEW_LINES) as $line) {
        [$id, $name, , $cents] = explode("\t", $line);
        $goods[$id] = ['name' => $name, 'cents' => (int) $cents];
    }
    return $goods;
}

$goods = goods();
parse_str($_SESSION['cart'] ?? '', $cart);
$cart = array_filter(array_map('intval', array_intersect_key($cart, $goods)), static fn($count) => $count > 0);
// Made by the Lua page, or here if this is the first.
$token = $_SESSION['form'] ??= bin2hex(random_bytes(16));
$delivery = $_SESSION['delivery'] ?? ['day' => DAYS[0], 'wrapped' => false];

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (!hash_equals($token, (string) ($_POST['token'] ?? ''))) {
        http_response_code(403);
        exit('This form is not from here, or too old.');
    }
    $good = (string) ($_POST['good'] ?? '');
    if (isset($cart[$good])) {
        $cart[$good]--;
        $_SESSION['cart'] = http_build_query(array_filter($cart));
        if ($_SESSION['cart'] === '') {
            unset($_SESSION['cart']);
        }
        $_SESSION['message'] = 'One ' . strtolower($goods[$good]['name']) . ' less.';
    } elseif (in_array($_POST['day'] ?? null, DAYS, true)) {
        // An array: others read it as JSON.
        $_SESSION['delivery'] = ['day' => $_POST['day'], 'wrapped' => isset($_POST['wrapped'])];
        $_SESSION['message'] = 'Your wishes are noted.';
    }
    header('Location: /checkout', true, 303);
    exit;
}

$message = $_SESSION['message'] ?? null;
unset($_SESSION['message']);
$user = rawurldecode($_SERVER['SESSION_USER'] ?? '');
$sum = 0;
?>
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Checkout</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<header>
<p class="mark">mod_session_store</p>
<nav aria-label="Pages">
<a href="/">Shop <small>Lua</small></a>
<a href="/checkout" aria-current="page">Checkout <small>PHP</small></a>
<a href="/club">Club <small>Python server</small></a>
<a href="/receipt">Receipt <small>CGI in Perl</small></a>
</nav>
<h1>Checkout</h1>
<p class="lead"><?= $user === '' ? 'Nobody is logged in.' : 'For <b>' . text($user) . '</b>.' ?></p>
</header>
<main>
<?php if ($message !== null): ?>
<p class="message" role="status"><?= text($message) ?></p>
<?php endif ?>
<section aria-labelledby="shop">
<h2 id="shop">Your cart</h2>
<?php if ($cart === []): ?>
<p class="empty">Your cart is empty.</p>
<?php else: ?>
<table>
<thead><tr><th scope="col">Item</th><th scope="col">Pieces</th><th scope="col">Price</th></tr></thead>
<tbody>
<?php foreach ($cart as $id => $count): $sum += $count * $goods[$id]['cents'] ?>
<tr><td><?= text($goods[$id]['name']) ?></td><td><?= $count ?></td><td><?= price($count * $goods[$id]['cents']) ?></td></tr>
<?php endforeach ?>
</tbody>
<tfoot><tr><th scope="row" colspan="2">Sum</th><td><?= price($sum) ?></td></tr></tfoot>
</table>
<div class="row">
<?php foreach ($cart as $id => $count): ?>
<form method="post" action="/checkout">
<input type="hidden" name="token" value="<?= text($token) ?>">
<input type="hidden" name="good" value="<?= text($id) ?>">
<button class="quiet">One <?= text(strtolower($goods[$id]['name'])) ?> less</button>
</form>
<?php endforeach ?>
</div>
<?php endif ?>
</section>
<section aria-labelledby="delivery">
<h2 id="delivery">Delivery</h2>
<p>On <strong><?= text($delivery['day']) ?></strong><?= $delivery['wrapped'] ? ', wrapped as a gift' : '' ?>.</p>
<form method="post" action="/checkout">
<input type="hidden" name="token" value="<?= text($token) ?>">
<p><label for="day">Day</label>
<select id="day" name="day">
<?php foreach (DAYS as $day): ?>
<option<?= $day === $delivery['day'] ? ' selected' : '' ?>><?= text($day) ?></option>
<?php endforeach ?>
</select></p>
<p><label class="inline"><input type="checkbox" name="wrapped"<?= $delivery['wrapped'] ? ' checked' : '' ?>>Wrapped as a gift</label></p>
<button>Note it</button>
</form>
</section>
</main>
<footer>
<p>This page knows <code>$_SESSION</code> and nothing else. The cart in it is the one that the other pages have.</p>
</footer>
</body>
</html>
