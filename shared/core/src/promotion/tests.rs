//! Which codes are taken, as tables.

use super::*;

const NOW: &str = "2026-04-11T00:00:00Z";

fn code() -> PromotionCode {
    PromotionCode {
        id: "promo_1".parse().unwrap(),
        word: "LAUNCH20".into(),
        active: true,
        expires_at: None,
        used_up: false,
        customer: None,
        first_time: false,
        has_minimum: false,
        coupon_valid: true,
        products: None,
        currencies: None,
    }
}

fn purchase() -> Purchase {
    Purchase {
        customer: "cus_1".parse().unwrap(),
        paid_before: true,
        product: "prod_1".parse().unwrap(),
        currency: "usd".parse().unwrap(),
        has: vec![],
    }
}

fn judged(found: &[PromotionCode]) -> Result<&str, String> {
    let word = "launch20".parse().unwrap();
    match choose(found, &word, &purchase(), NOW.parse().unwrap()) {
        Ok(Choice::Redeem(code)) => Ok(code.id.as_str()),
        Ok(Choice::Has) => Ok("has it"),
        Err(refused) => Err(refused.to_string()),
    }
}

#[test]
fn case_does_not_matter_and_the_words_of_the_caller_are_told_back() {
    assert_eq!(judged(&[code()]), Ok("promo_1"));
    assert_eq!(
        judged(&[]).unwrap_err(),
        "promotion code \"launch20\" does not exist"
    );
}

/// An end that is a second away, the account's own product among others, its own customer, its own currency.
#[test]
fn a_code_is_taken_within_its_limits() {
    let codes = [
        PromotionCode {
            expires_at: "2026-04-11T00:00:01Z".parse().ok(),
            ..code()
        },
        PromotionCode {
            products: Some(vec!["prod_2".parse().unwrap(), "prod_1".parse().unwrap()]),
            ..code()
        },
        PromotionCode {
            customer: "cus_1".parse().ok(),
            ..code()
        },
        PromotionCode {
            currencies: Some(vec!["eur".parse().unwrap(), "usd".parse().unwrap()]),
            ..code()
        },
    ];
    for code in codes {
        assert_eq!(judged(std::slice::from_ref(&code)), Ok("promo_1"), "{code:?}");
    }
}

#[test]
fn every_reason_is_told() {
    let cases = [
        (
            PromotionCode {
                active: false,
                ..code()
            },
            "is not active",
        ),
        (
            PromotionCode {
                active: false,
                expires_at: Some(NOW.parse().unwrap()),
                ..code()
            },
            "has expired",
        ),
        (
            PromotionCode {
                expires_at: "2026-04-10T23:59:59Z".parse().ok(),
                ..code()
            },
            "has expired",
        ),
        (
            PromotionCode {
                active: false,
                used_up: true,
                ..code()
            },
            "has been used up",
        ),
        (
            PromotionCode {
                coupon_valid: false,
                ..code()
            },
            "has expired",
        ),
        (
            PromotionCode {
                customer: Some("cus_2".parse().unwrap()),
                ..code()
            },
            "does not exist",
        ),
        (
            PromotionCode {
                products: Some(vec!["prod_2".parse().unwrap()]),
                ..code()
            },
            "is not valid for this subscription",
        ),
        (
            PromotionCode {
                currencies: Some(vec!["eur".parse().unwrap(), "jpy".parse().unwrap()]),
                ..code()
            },
            "is not valid for this subscription",
        ),
        (
            PromotionCode {
                first_time: true,
                ..code()
            },
            "is for first-time customers only",
        ),
        (
            PromotionCode {
                has_minimum: true,
                ..code()
            },
            "is for new subscriptions only, as it has a minimum amount",
        ),
    ];
    for (code, why) in cases {
        assert_eq!(
            judged(&[code]).unwrap_err(),
            format!("promotion code \"launch20\" {why}")
        );
    }
}

/// One of another word is not what was meant. Who never paid may use what is for newcomers. The newest code's reason is the one that is
/// told.
#[test]
fn what_is_near_is_not_what_is_meant() {
    let other_word = PromotionCode {
        word: "LAUNCH2".into(),
        ..code()
    };
    assert_eq!(
        judged(&[other_word]).unwrap_err(),
        "promotion code \"launch20\" does not exist"
    );
    let newcomers = PromotionCode {
        first_time: true,
        ..code()
    };
    let newcomer = Purchase {
        paid_before: false,
        ..purchase()
    };
    let (word, now) = ("LAUNCH20".parse().unwrap(), NOW.parse().unwrap());
    assert!(choose(&[newcomers], &word, &newcomer, now).is_ok());
    let newest = PromotionCode {
        used_up: true,
        ..code()
    };
    let oldest = PromotionCode {
        active: false,
        ..code()
    };
    assert!(
        judged(&[newest, oldest])
            .unwrap_err()
            .ends_with("has been used up")
    );
}

/// 5.00 euro off or 6.00 dollars: the purchase is in dollars.
#[test]
fn a_code_in_several_currencies_is_judged_in_the_one_of_the_purchase() {
    let of = |currencies: [&str; 2]| PromotionCode {
        currencies: Some(currencies.map(|code| code.parse().unwrap()).to_vec()),
        ..code()
    };
    assert_eq!(judged(&[of(["eur", "usd"])]), Ok("promo_1"));
    assert!(
        judged(&[of(["eur", "jpy"])])
            .unwrap_err()
            .ends_with("is not valid for this subscription")
    );
}

#[test]
fn a_code_that_was_turned_off_does_not_hide_its_successor() {
    let old = PromotionCode {
        active: false,
        id: "promo_0".parse().unwrap(),
        ..code()
    };
    assert_eq!(judged(&[old.clone(), code()]), Ok("promo_1"));
    assert_eq!(judged(&[code(), old]), Ok("promo_1"));
}

/// Used up by the very subscription that has it, and turned off since: it keeps it. Another word of the same subscription does not
/// become that.
#[test]
fn a_code_that_the_subscription_has_is_neither_judged_nor_redeemed_again() {
    let own = PromotionCode {
        active: false,
        used_up: true,
        has_minimum: true,
        ..code()
    };
    let other = PromotionCode {
        id: "promo_2".parse().unwrap(),
        word: "SPRING20".into(),
        ..code()
    };
    let having = |id: &str| Purchase {
        has: vec![id.parse().unwrap()],
        ..purchase()
    };
    let (word, now) = ("LAUNCH20".parse().unwrap(), NOW.parse().unwrap());
    let found = [own, other];
    assert_eq!(choose(&found, &word, &having("promo_1"), now), Ok(Choice::Has));
    let refused = choose(&found, &word, &having("promo_2"), now).unwrap_err();
    assert_eq!(refused.why, Why::UsedUp);
}

#[test]
fn white_space_around_a_word_is_not_part_of_it() {
    for text in ["LAUNCH20", " LAUNCH20", "LAUNCH20\n", "\u{a0}LAUNCH20\t"] {
        assert_eq!(text.parse::<Word>().unwrap().as_str(), "LAUNCH20", "{text:?}");
    }
}

#[test]
fn a_word_goes_into_no_text_that_it_could_break() {
    for bad in ["", " ", "a b", "\"", "a\nb", "é", "ＬＡＵＮＣＨ"] {
        assert!(bad.parse::<Word>().is_err(), "{bad:?}");
    }
    assert!("x".repeat(501).parse::<Word>().is_err());
    assert!("x".repeat(500).parse::<Word>().is_ok());
    assert!("a-b_C1".parse::<Word>().is_ok());
}
