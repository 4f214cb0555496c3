use super::*;

fn parsed(text: &str) -> RedisAddress {
    RedisAddress::parse(text).unwrap_or_else(|problem| panic!("{text} {problem}"))
}

fn refused(text: &str) -> String {
    RedisAddress::parse(text).expect_err(text)
}

fn at(name: &str, port: u16) -> Host {
    Host { name: Arc::from(name), port }
}

#[test]
fn one_server_has_a_port_a_database_and_defaults() {
    let plain = parsed("redis://localhost");
    assert_eq!(plain.servers, Servers::One(at("localhost", 6379)));
    assert_eq!((plain.tls, plain.database, plain.password), (None, 0, None));
    assert_eq!(plain.timeout, Duration::from_secs(1));
    assert_eq!(plain.connect_timeout, Duration::from_secs(1));
    let full = parsed("REDISS://app:p%40ss%3a@[::1]:6380/3");
    assert_eq!(full.servers, Servers::One(at("::1", 6380)));
    assert_eq!((full.tls, full.database), (Some(Tls::default()), 3));
    assert_eq!(full.user.as_deref(), Some("app"));
    assert_eq!(full.password, Some(Password::Inline("p@ss:".into())));
    assert_eq!(parsed("redis://:word@host/").user, None);
    let socket = Servers::Socket("/run/redis/redis.sock".into());
    assert_eq!(parsed("redis+unix:///run/redis/redis.sock?database=2").servers, socket);
}

#[test]
fn sentinels_and_clusters_have_several_hosts() {
    let hosts = vec![at("one", 26_379), at("two", 7)];
    let sentinel = parsed("redis+sentinel://one,two:7/mymaster/2");
    assert_eq!(sentinel.servers, Servers::Sentinels(hosts, "mymaster".into()));
    assert_eq!(sentinel.database, 2);
    let cluster = parsed("rediss+cluster://a:1,b:2,c:3?prefix=shop:");
    assert_eq!(cluster.servers, Servers::Cluster(vec![at("a", 1), at("b", 2), at("c", 3)]));
    assert!(cluster.tls.is_some());
    assert_eq!(&*cluster.prefix, "shop:");
}

#[test]
fn options_are_set_each_once() {
    let address = parsed(
        "rediss://h?user=app&password_file=/etc/word&database=4&prefix=s/&connect_timeout=250ms&timeout=2s&\
         lease=10&ca=conf/ca.pem&cert=/c%20d.pem&key=/k.pem",
    );
    let tls = Tls {
        ca: Some("conf/ca.pem".into()),
        identity: Some(("/c d.pem".into(), "/k.pem".into())),
    };
    assert_eq!(address.tls, Some(tls));
    assert_eq!(address.user.as_deref(), Some("app"));
    assert_eq!(address.password, Some(Password::File("/etc/word".into())));
    assert_eq!((address.database, &*address.prefix), (4, "s/"));
    let times = (address.connect_timeout, address.timeout, address.lease);
    let expected = (Duration::from_millis(250), Duration::from_secs(2), Duration::from_secs(10));
    assert_eq!(times, expected);
}

#[test]
fn an_unknown_option_is_answered_with_the_known_ones() {
    let problem = refused("redis://h?tiemout=1s");
    assert!(problem.contains("connect_timeout") && problem.contains("password_file"), "{problem}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for text in [
        "redis:",
        "redis:host",
        "redis://",
        "redis://:6379",
        "redis://host:0",
        "redis://host:99999",
        "redis://host:x",
        "redis://ho st",
        "redis://a,b",
        "redis://::1",
        "redis://[::1]6379",
        "redis://host/one",
        "redis://host/1/2",
        "redis://:@host",
        "redis://%zz@host",
        "redis://u%0a@host",
        "redis+sentinel://one,two",
        "redis+sentinel://one,/name",
        "redis+cluster://one/2",
        "redis+cluster://one?database=2",
        "redis+unix://host/path",
        "rediss+unix:///path",
        "redis+tls://host",
        "redis://host?timeout=1s&timeout=2s",
        "redis://host?timeout=0",
        "redis://host?timeout=5m",
        "redis://host?lease=500ms",
        "redis://host?prefix={a}",
        "redis://host?prefix=",
        "redis://host?ca=/ca.pem",
        "rediss://host?cert=/c.pem",
        "redis://u@host?user=v",
        "redis://:p@host?password_file=/f",
        "redis://host?sentinel_password_file=/f",
    ] {
        refused(text);
    }
}

#[test]
fn no_mistake_and_no_debug_output_shows_the_password() {
    for text in [
        "redis://u:hidden@host:x",
        "redis://u:hidden@",
        "redis://u:hidden%zz@host",
        "redis://u:hidden@host?bogus=hidden",
        "redis://u:hidden@host?timeout=hidden",
        "redis+hidden://u:hidden@host",
        "redis://u:hidden",
    ] {
        let problem = refused(text);
        assert!(!problem.contains("hidden"), "{problem}");
    }
    let address = parsed("redis://u:hidden@host?timeout=2s");
    assert!(address.shows_password());
    assert!(!format!("{address:?}").contains("hidden"));
    assert!(!parsed("redis://u@host?password_file=/f").shows_password());
}

#[test]
fn an_address_can_be_shown_without_its_password() {
    let cases = [
        ("redis://u:hid@den@host/1?timeout=2s", "redis://...@host/1?timeout=2s"),
        ("redis://host/1?ca=/a@b", "redis://host/1?ca=/a@b"),
        ("redis://u:hidden@host", "redis://...@host"),
        ("file:/a@b/c", "file:/a@b/c"),
    ];
    for (text, shown) in cases {
        assert_eq!(without_password(text), shown);
    }
}
