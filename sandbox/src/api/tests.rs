//! The wire as text: exact shapes, who is let in, what is logged, and that nothing makes it fall over.
use proptest::prelude::*;

use super::*;
use crate::world::{Config, Delays, Instance};

struct Mute;

impl Console for Mute {
    fn output(&self, _instance_id: &str) -> Option<Vec<u8>> {
        None
    }
}

fn world() -> World {
    World::new(Config { delays: Delays::none(), ..Config::default() }, 1, now())
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600, 0).expect("a moment")
}

fn headers(service: &str) -> HeaderMap {
    let credential = format!(
        "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let mut headers = HeaderMap::new();
    headers.insert("host", "127.0.0.1:4577".parse().expect("a header"));
    headers.insert("authorization", credential.parse().expect("a header"));
    headers
}

fn send(world: &mut World, headers: &HeaderMap, body: &str) -> Reply {
    let incoming = Incoming { headers, query: "", body: body.as_bytes() };
    handle(world, &Mute, now(), &incoming).reply
}

fn ec2(body: &str) -> Reply {
    send(&mut world(), &headers("ec2"), body)
}

/// The text between the first such tags.
fn between<'a>(reply: &'a Reply, tag: &str) -> &'a str {
    let after = reply.body.split_once(&format!("<{tag}>")).map_or("", |(_, after)| after);
    after.split_once(&format!("</{tag}>")).map_or("", |(text, _)| text)
}

#[test]
fn an_answer_of_ec2_has_its_shape() {
    let reply = ec2("Action=DescribeRegions&Version=2016-11-15");
    assert_eq!(reply.status, 200);
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{}</requestId>\
         <regionInfo><item><regionName>us-east-1</regionName>\
         <regionEndpoint>ec2.us-east-1.amazonaws.com</regionEndpoint>\
         <optInStatus>opt-in-not-required</optInStatus></item><item><regionName>eu-north-1</regionName>\
         <regionEndpoint>ec2.eu-north-1.amazonaws.com</regionEndpoint>\
         <optInStatus>opt-in-not-required</optInStatus></item></regionInfo></DescribeRegionsResponse>",
        reply.request_id
    );
    assert_eq!(reply.body, expected);
}

#[test]
fn an_error_of_ec2_has_its_shape() {
    let reply = ec2("Action=DescribeInstances&InstanceId.1=web&Version=2016-11-15");
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>\
         <Code>InvalidInstanceID.Malformed</Code><Message>Invalid id: &quot;web&quot;</Message>\
         </Error></Errors><RequestID>{}</RequestID></Response>",
        reply.request_id
    );
    assert_eq!((reply.status, reply.body.as_str()), (400, expected.as_str()));
}

#[test]
fn answers_and_errors_of_elb_have_their_shape() {
    let mut world = world();
    let headers = headers("elasticloadbalancing");
    let ok = send(
        &mut world,
        &headers,
        "Action=CreateLoadBalancer&LoadBalancerName=web&AvailabilityZones.member.1=us-east-1a\
         &Listeners.member.1.Protocol=http&Listeners.member.1.LoadBalancerPort=80\
         &Listeners.member.1.InstancePort=8080&Version=2012-06-01",
    );
    let expected = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <CreateLoadBalancerResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/\">\
         <CreateLoadBalancerResult><DNSName>127.78.0.1</DNSName></CreateLoadBalancerResult>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></CreateLoadBalancerResponse>",
        ok.request_id
    );
    assert_eq!(ok.body, expected);
    let error =
        send(&mut world, &headers, "Action=DescribeInstanceHealth&LoadBalancerName=none&Version=2012-06-01");
    assert_eq!(error.status, 400);
    assert!(
        error.body.contains("<Error><Type>Sender</Type><Code>LoadBalancerNotFound</Code>"),
        "{}",
        error.body
    );
    assert!(error.body.contains("<ErrorResponse xmlns="));
}

#[test]
fn answers_and_errors_of_target_groups_have_their_shape() {
    let mut world = world();
    let headers = headers("elasticloadbalancing");
    let made = send(
        &mut world,
        &headers,
        "Action=CreateTargetGroup&Name=web&Protocol=HTTP&Port=80&VpcId=vpc-00000000000000001&Version=2015-12-01",
    );
    let namespace = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";
    let head = format!(
        "<CreateTargetGroupResponse xmlns=\"{namespace}\"><CreateTargetGroupResult><TargetGroups><member>"
    );
    assert!(made.body.contains(&head), "{}", made.body);
    assert_eq!(between(&made, "HttpCode"), "200");
    let arn = between(&made, "TargetGroupArn").to_owned();
    let body = format!("Action=DescribeTargetHealth&TargetGroupArn={arn}&Version=2015-12-01");
    let health = send(&mut world, &headers, &body);
    assert_eq!(
        between(&health, "DescribeTargetHealthResult"),
        "<TargetHealthDescriptions></TargetHealthDescriptions>"
    );
    let error = send(&mut world, &headers, &body.replace("web", "db"));
    assert_eq!((error.status, between(&error, "Code")), (400, "TargetGroupNotFound"));
    assert!(error.body.contains(&format!("<ErrorResponse xmlns=\"{namespace}\">")), "{}", error.body);
    let names: Vec<&str> = world.calls_after(0).map(|call| call.action.as_str()).collect();
    assert_eq!(names, ["CreateTargetGroup", "DescribeTargetHealth", "DescribeTargetHealth"]);
}

fn ssm(world: &mut World, action: &str, body: &str) -> Reply {
    let mut headers = headers("ssm");
    headers.insert("x-amz-target", format!("AmazonSSM.{action}").parse().expect("a header"));
    send(world, &headers, body)
}

#[test]
fn ssm_speaks_json_and_its_log_tells_no_value() {
    let mut world = world();
    let put = ssm(&mut world, "PutParameter", r#"{"Name":"/db","Value":"hunter2","Type":"SecureString"}"#);
    assert_eq!((put.status, put.json, put.body.as_str()), (200, true, r#"{"Version":1,"Tier":"Standard"}"#));
    let got = ssm(&mut world, "GetParameter", r#"{"Name":"/db","Flavour":"sweet"}"#);
    let expected = r#"{"Parameter":{"Name":"/db","Type":"SecureString","Value":"hunter2","Version":1,"LastModifiedDate":1767225600,"ARN":"arn:aws:ssm:us-east-1:000000000000:parameter/db","DataType":"text"}}"#;
    assert_eq!(got.body, expected);
    let lost = ssm(&mut world, "GetParameter", r#"{"Name":"/nothing"}"#);
    assert_eq!(
        (lost.status, lost.body.as_str()),
        (400, r#"{"__type":"ParameterNotFound","message":"/nothing"}"#)
    );
    assert!(ssm(&mut world, "GetParameter", "{").body.contains("ValidationException"));
    assert!(ssm(&mut world, "DeleteParameter", "{}").body.contains("UnknownOperationException"));
    let calls: Vec<&CallRecord> = world.calls_after(0).collect();
    assert_eq!((calls[0].service.as_str(), calls[0].parameters["Value"].as_str()), ("ssm", "(7 characters)"));
    assert_eq!(calls[1].ignored, ["Flavour"]);
    assert!(!serde_json::to_string(&calls).expect("json").contains("hunter2"));
}

#[test]
fn a_request_to_ssm_without_a_signature_is_refused() {
    let mut unsigned = headers("ssm");
    unsigned.remove("authorization");
    unsigned.insert("x-amz-target", "AmazonSSM.GetParameter".parse().expect("a header"));
    let reply = send(&mut world(), &unsigned, r#"{"Name":"/db"}"#);
    assert_eq!((reply.status, reply.json), (403, true));
}

#[test]
fn a_request_without_a_signature_is_refused() {
    let mut unsigned = headers("ec2");
    unsigned.remove("authorization");
    let reply = send(&mut world(), &unsigned, "Action=DescribeRegions&Version=2016-11-15");
    assert_eq!((reply.status, between(&reply, "Code")), (403, "MissingAuthenticationToken"));
}

#[test]
fn the_service_is_the_scopes_and_else_the_versions() {
    let call = |scope: &str, body: &str| send(&mut world(), &headers(scope), body);
    assert!(call("sts", "Action=GetCallerIdentity").body.contains("<GetCallerIdentityResult>"));
    assert!(
        call("other", "Action=GetCallerIdentity&Version=2011-06-15")
            .body
            .contains("<GetCallerIdentityResult>")
    );
    // The same action name in two services.
    let elb =
        call("elasticloadbalancing", "Action=DescribeTags&LoadBalancerNames.member.1=web&Version=2012-06-01");
    assert_eq!(between(&elb, "Code"), "LoadBalancerNotFound");
    assert!(call("ec2", "Action=DescribeTags").body.contains("<tagSet>"));
    assert_eq!(call("s3", "Action=ListBuckets").status, 400);
}

#[test]
fn web_pages_are_kept_out() {
    let refused = |name: &'static str, value: &str| {
        let mut headers = headers("ec2");
        headers.insert(name, value.parse().expect("a header"));
        send(&mut world(), &headers, "Action=DescribeRegions").status == 403
    };
    assert!(refused("origin", "http://localhost:3000"));
    assert!(refused("sec-fetch-site", "cross-site"));
    assert!(refused("referer", "http://evil.example/"));
    for host in [
        "evil.example",
        "evil.example:4577",
        "10.0.0.1",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "",
    ] {
        assert!(refused("host", host), "{host}");
    }
    for host in ["127.0.0.1", "127.0.0.1:4577", "localhost:4577", "LOCALHOST", "[::1]:4577", "127.77.0.4"] {
        assert!(!refused("host", host), "{host}");
    }
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    assert_eq!(between(&ec2("Version=2016-11-15"), "Code"), "MissingAction");
    assert_eq!(between(&ec2("Action=DescribeUnicorns"), "Code"), "InvalidAction");
    let reply = ec2("Action=RunInstances&MaxCount=1&ImageId=ami-00000000000000002");
    assert_eq!(between(&reply, "Code"), "MissingParameter");
    assert!(between(&reply, "Message").contains("MinCount"));
    let reply = ec2("Action=RunInstances&MaxCount=many&MinCount=1");
    assert!(between(&reply, "Message").contains("(many) for parameter MaxCount"), "{}", reply.body);
    assert_eq!(between(&ec2("Action=DescribeInstances&DryRun=perhaps"), "Code"), "InvalidParameterValue");
}

#[test]
fn parameters_may_come_in_the_query_too() {
    let headers = headers("ec2");
    let incoming =
        Incoming { headers: &headers, query: "Action=DescribeRegions&Version=2016-11-15", body: b"" };
    assert_eq!(handle(&mut world(), &Mute, now(), &incoming).reply.status, 200);
}

#[test]
fn lists_are_read_by_index_whatever_the_order_and_the_gaps() {
    let form = Form::parse("", b"A.10=ten&A.2=two&A.1=one&A.x=no&AB.1=other&B.2.C=deep&B.10.C=deeper")
        .expect("a form");
    let top = form.top(form::Style::Ec2);
    assert_eq!(top.list("A"), ["one", "two", "ten"]);
    let deep: Vec<Option<String>> = top.structs("B").iter().map(|b| b.text("C")).collect();
    assert_eq!(deep, [Some("deep".to_owned()), Some("deeper".to_owned())]);
    assert_eq!(form.unread(), ["A.x", "AB.1"]);
}

#[test]
fn the_log_tells_what_was_asked_but_no_secret() {
    let mut world = world();
    let user_data = "I21heWZseQpzZWNyZXQ6IGh1bnRlcjIK";
    let body = format!(
        "Action=RunInstances&ImageId=ami-00000000000000002&MinCount=1&MaxCount=1&UserData={user_data}\
         &Flavour=sweet&Version=2016-11-15&X-Amz-Security-Token=topsecret&X-Amz-Signature=alsosecret"
    );
    assert_eq!(send(&mut world, &headers("ec2"), &body).status, 200);
    send(&mut world, &headers("ec2"), "Action=DescribeInstances&InstanceId.1=web");
    let calls: Vec<&CallRecord> = world.calls_after(0).collect();
    assert_eq!(calls.iter().map(|call| call.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((calls[0].action.as_str(), calls[0].outcome.as_str()), ("RunInstances", "ok"));
    assert_eq!(calls[0].ignored, ["Flavour"]);
    assert_eq!(calls[0].parameters["UserData"], "(32 characters)");
    assert_eq!(calls[1].outcome, "InvalidInstanceID.Malformed");
    let all = serde_json::to_string(&calls).expect("json");
    for secret in [user_data, "topsecret", "alsosecret"] {
        assert!(!all.contains(secret));
    }
    assert_eq!(world.calls_after(1).count(), 1);
}

#[test]
fn characters_that_xml_cannot_have_do_not_break_the_answer() {
    let mut world = world();
    let body = "Action=RunInstances&ImageId=ami-00000000000000002&MinCount=1&MaxCount=1\
        &TagSpecification.1.ResourceType=instance&TagSpecification.1.Tag.1.Key=a%00%1b%3Cb%3E&\
        TagSpecification.1.Tag.1.Value=%5D%5D%3E%26%0A";
    let reply = send(&mut world, &headers("ec2"), body);
    assert_eq!(reply.status, 200);
    well_formed(&reply.body);
    assert_eq!(world.instances().map(|i: &Instance| i.tags.len()).sum::<usize>(), 1);
}

/// Parses the whole document; a text that is not XML fails the test.
fn well_formed(body: &str) {
    let mut reader = quick_xml::Reader::from_str(body);
    let mut depth = 0i32;
    loop {
        match reader.read_event().expect("XML") {
            quick_xml::events::Event::Start(_) => depth += 1,
            quick_xml::events::Event::End(_) => depth -= 1,
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        Just("i-0123456789abcdef0".to_owned()),
        Just("ami-00000000000000002".to_owned()),
        Just("1".to_owned()),
        Just("true".to_owned()),
        Just("web".to_owned()),
        Just("us-east-1a".to_owned()),
        Just("HTTP:80/".to_owned()),
        Just("HTTP".to_owned()),
        Just("200-299".to_owned()),
        Just("forward".to_owned()),
        Just("2015-12-01".to_owned()),
        Just("vpc-00000000000000001".to_owned()),
        Just("subnet-00000000000000001".to_owned()),
        Just("subnet-00000000000000002".to_owned()),
        Just("arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/web/0".to_owned()),
    ]
}

fn parameter() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z]{1,12}(\\.[0-9]{1,11}){0,2}(\\.[A-Za-z]{1,8})?",
        prop::sample::select(vec![
            "ImageId",
            "MinCount",
            "MaxCount",
            "InstanceId.1",
            "InstanceId",
            "Filter.1.Name",
            "Filter.1.Value.1",
            "LoadBalancerName",
            "Instances.member.1.InstanceId",
            "HealthCheck.Target",
            "HealthCheck.Interval",
            "Listeners.member.1.Protocol",
            "Listeners.member.1.LoadBalancerPort",
            "Listeners.member.1.InstancePort",
            "LaunchTemplateName",
            "LaunchTemplateData.ImageId",
            "UserData",
            "ClientToken",
            "MaxResults",
            "NextToken",
            "AvailabilityZones.member.1",
            "Placement.AvailabilityZone",
            "PrivateIpAddress",
            "DryRun",
            "Version",
            "Protocol",
            "Port",
            "VpcId",
            "TargetGroupArn",
            "LoadBalancerArn",
            "ListenerArn",
            "Targets.member.1.Id",
            "Targets.member.1.Port",
            "Subnets.member.1",
            "Subnets.member.2",
            "Matcher.HttpCode",
            "HealthCheckPort",
            "DefaultActions.member.1.Type",
            "DefaultActions.member.1.TargetGroupArn",
            "DefaultActions.member.1.ForwardConfig.TargetGroups.member.1.Weight",
            "Attributes.member.1.Key",
            "Attributes.member.1.Value",
            "PageSize",
            "Name",
        ])
        .prop_map(str::to_owned),
    ]
}

fn action() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "RunInstances",
        "DescribeInstances",
        "TerminateInstances",
        "StopInstances",
        "CreateTags",
        "DescribeTags",
        "DescribeImages",
        "CreateImage",
        "CopyImage",
        "ModifyImageAttribute",
        "DescribeSnapshotAttribute",
        "DescribeSubnets",
        "DescribeInstanceStatus",
        "CreateLaunchTemplate",
        "DescribeLaunchTemplateVersions",
        "AuthorizeSecurityGroupIngress",
        "CreateLoadBalancer",
        "ConfigureHealthCheck",
        "RegisterInstancesWithLoadBalancer",
        "DescribeInstanceHealth",
        "ModifyLoadBalancerAttributes",
        "DescribeLoadBalancers",
        "GetConsoleOutput",
        "ModifyInstanceAttribute",
        "CreateTargetGroup",
        "ModifyTargetGroup",
        "DescribeTargetGroups",
        "ModifyTargetGroupAttributes",
        "CreateListener",
        "ModifyListener",
        "DescribeListeners",
        "DescribeRules",
        "RegisterTargets",
        "DeregisterTargets",
        "DescribeTargetHealth",
        "SetSubnets",
        "AddTags",
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_form_breaks_the_wire(
        calls in prop::collection::vec((action(), prop::collection::vec((parameter(), value()), 0..10), 0..3u8), 1..8),
    ) {
        let mut world = world();
        for (action, parameters, service) in calls {
            let elb = service > 0;
            let version = if service == 2 { "2015-12-01" } else { "" };
            let mut fields =
                vec![("Action".to_owned(), action.to_owned()), ("Version".to_owned(), version.to_owned())];
            fields.extend(parameters);
            let body = serde_urlencoded::to_string(&fields).expect("a form");
            let service = if elb { "elasticloadbalancing" } else { "ec2" };
            let reply = send(&mut world, &headers(service), &body);
            prop_assert!((200..600).contains(&reply.status));
            well_formed(&reply.body);
        }
    }

    #[test]
    fn no_json_breaks_ssm(body in any::<String>(), name in any::<String>(), put in any::<bool>()) {
        let action = if put { "PutParameter" } else { "GetParameter" };
        let named = serde_json::json!({ "Name": name, "Value": body }).to_string();
        for body in [&body, &named] {
            let reply = ssm(&mut world(), action, body);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&reply.body).is_ok());
        }
    }

    #[test]
    fn no_bytes_break_the_wire(body in prop::collection::vec(any::<u8>(), 0..300), query in any::<String>()) {
        let headers = headers("ec2");
        let incoming = Incoming { headers: &headers, query: &query, body: &body };
        well_formed(&handle(&mut world(), &Mute, now(), &incoming).reply.body);
    }
}
